//! SUPPORTED_AUTH_METHODS (RFC 9593 §3): which ways of authentication the sender can verify.
use super::{NotifyData, reader, wrong_len};
use crate::registry::{AuthMethod, NotifyType};
use crate::wire::error::WireError;
use alloc::vec::Vec;

/// One method, in one of the three shapes of RFC 9593 §3.2.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Announcement {
    method: AuthMethod,
    /// What follows the method: nothing, a Cert Link, or a Cert Link and an AlgorithmIdentifier. At most 253 octets.
    rest: Vec<u8>,
}

impl Announcement {
    /// A method without a certificate: shared key, NULL.
    #[must_use]
    pub fn plain(method: AuthMethod) -> Self {
        Self { method, rest: Vec::new() }
    }

    /// A method with a certificate; `cert_link` is 0, or the number of a CA in the CERTREQ payloads, from 1.
    #[must_use]
    pub fn with_certificate(method: AuthMethod, cert_link: u8) -> Self {
        Self { method, rest: alloc::vec![cert_link] }
    }

    /// Method 14 with its DER AlgorithmIdentifier of 1 to 252 octets.
    #[must_use]
    pub fn digital_signature(cert_link: u8, algorithm: &[u8]) -> Option<Self> {
        let fits = (1..=252).contains(&algorithm.len());
        let rest = || core::iter::once(cert_link).chain(algorithm.iter().copied()).collect();
        fits.then(|| Self { method: AuthMethod::DIGITAL_SIGNATURE, rest: rest() })
    }

    /// The method.
    #[must_use]
    pub fn method(&self) -> AuthMethod {
        self.method
    }

    /// The CA it is announced for, if any.
    #[must_use]
    pub fn cert_link(&self) -> Option<u8> {
        self.rest.first().copied()
    }

    /// The DER AlgorithmIdentifier of method 14.
    #[must_use]
    pub fn algorithm(&self) -> Option<&[u8]> {
        self.rest.get(1..).filter(|a| !a.is_empty())
    }
}

/// The announcements in the order of preference. Empty in IKE_SA_INIT when the list follows in IKE_INTERMEDIATE.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SupportedAuthMethods {
    /// The announcements; unknown methods are skipped by whoever chooses.
    pub methods: Vec<Announcement>,
}

impl NotifyData for SupportedAuthMethods {
    const KIND: NotifyType = NotifyType::SUPPORTED_AUTH_METHODS;

    fn parse(data: &[u8]) -> Result<Self, WireError> {
        let mut r = reader(data);
        let mut methods = Vec::new();
        while !r.is_empty() {
            let at = r.at();
            let len = usize::from(r.u8()?);
            let Some(rest) = len.checked_sub(2) else { return Err(wrong_len(len, 2, 255).shifted(at)) };
            methods.push(Announcement { method: AuthMethod(r.u8()?), rest: r.take(rest)?.to_vec() });
        }
        Ok(Self { methods })
    }

    fn emit(&self, out: &mut Vec<u8>) {
        for m in &self.methods {
            // Every constructor and `parse` keep `rest` within 253 octets.
            let rest = u8::try_from(m.rest.len()).unwrap_or(253).min(253);
            out.extend_from_slice(&[rest.saturating_add(2), m.method.0]);
            out.extend(m.rest.iter().take(usize::from(rest)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trip_of_the_three_shapes() {
        let raw = [2, 2, 3, 9, 1, 5, 14, 2, 0x30, 0];
        super::super::check::<SupportedAuthMethods>(&[&[], &raw], &[&[1], &[0, 2], &[3, 9], &[2]]);
        let list = SupportedAuthMethods::parse(&raw).unwrap().methods;
        assert_eq!(list[0], Announcement::plain(AuthMethod::SHARED_KEY));
        assert_eq!(list[1], Announcement::with_certificate(AuthMethod::ECDSA_256, 1));
        assert_eq!(list[2], Announcement::digital_signature(2, &[0x30, 0]).unwrap());
        assert_eq!((list[2].cert_link(), list[2].algorithm()), (Some(2), Some(&[0x30, 0][..])));
        assert_eq!((list[0].cert_link(), list[0].algorithm()), (None, None));
        assert!(Announcement::digital_signature(0, &[0; 253]).is_none());
    }
}
