//! Questions that the endpoint puts to whoever drives it, and the answers: private keys that are elsewhere,
//! certificates that somebody else judges, secrets that are not in the PAD, EAP servers (design §5).
//!
//! An exchange that needs an answer is parked. Its message is then run again from the start with all answers given so
//! far, so nothing of it may change the IKE SA before the last question. Tickets expire; a retransmission of the
//! parked request is absorbed. To add a question: a variant of [`Ask`], one of [`Answer`], an arm in [`Answer::fits`].

use crate::error::Reason;
use crate::ids::IkeSaId;
use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;
use ravelin_crypto::Secret;
use ravelin_crypto::sign::SignatureScheme;
use ravelin_sa_db::pad::Identity;
use ravelin_sa_db::pool::Pool;

/// Names one question. Good for one answer.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket {
    sa: IkeSaId,
    number: u32,
}

impl Ticket {
    /// A ticket of an IKE SA.
    #[must_use]
    pub(crate) fn new(sa: IkeSaId, number: u32) -> Self {
        Self { sa, number }
    }

    /// A ticket from its two numbers, for drivers in other languages. One that was never given out is refused.
    #[must_use]
    pub fn from_parts(sa: IkeSaId, number: u32) -> Self {
        Self { sa, number }
    }

    /// The IKE SA that asks.
    #[must_use]
    pub fn sa(self) -> IkeSaId {
        self.sa
    }

    /// Which of its questions it is, from 1.
    #[must_use]
    pub fn number(self) -> u32 {
        self.number
    }
}

impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ticket({:?}, {})", self.sa, self.number)
    }
}

/// A question.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Ask {
    /// A signature by the private key that belongs to `public_key`. Answered by [`Answer::Signature`].
    Sign {
        /// DER SubjectPublicKeyInfo of the credential.
        public_key: Vec<u8>,
        /// How.
        scheme: SignatureScheme,
        /// Over what; hashing is part of the scheme.
        octets: Vec<u8>,
    },
    /// Whether a certificate chain is good and is about `id`. Answered by [`Answer::PublicKey`].
    VerifyChain {
        /// Certificates as the peer sent them (DER), its own first.
        chain: Vec<Vec<u8>>,
        /// Who the peer says that it is.
        id: Identity,
    },
    /// The pre-shared key between two identities. Answered by [`Answer::Secret`].
    SharedSecret {
        /// Ours.
        local: Identity,
        /// The peer's.
        remote: Identity,
    },
    /// The post-quantum pre-shared key with this PPK_ID (RFC 8784). Answered by [`Answer::Secret`].
    Ppk {
        /// Type octet and value.
        id: Vec<u8>,
    },
    /// The next post-quantum pre-shared key for a peer whose keys come from a key-distribution system
    /// ([`ravelin_sa_db::pad::PpkSource::Asked`]), asked for before each use, so that each may be good for one. Answered
    /// by [`Answer::Ppk`].
    NextPpk {
        /// Who we are.
        local: Identity,
        /// Who the peer proved to be; `None` before it has.
        remote: Option<Identity>,
        /// The name of its PAD entry.
        peer: String,
    },
    /// What the EAP server says to this packet; empty at the start. Answered by [`Answer::Eap`].
    Eap {
        /// Who the peer says that it is (IDi).
        id: Identity,
        /// The client's EAP packet.
        packet: Vec<u8>,
    },
}

/// What an EAP server grants along with Success, by RADIUS say.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Granted {
    /// Inner addresses, and what is told along with them: CFG_REQUEST is answered from these before any pool of ours.
    pub pool: Option<Arc<Pool>>,
    /// The IKE SA ends this long after it was authenticated, however often it is rekeyed; told to the client as
    /// AUTH_LIFETIME (RFC 4478).
    pub lifetime: Option<Duration>,
}

/// An answer.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Answer {
    /// A signature.
    Signature(Vec<u8>),
    /// The chain is good; this is the public key of its first certificate (DER SubjectPublicKeyInfo).
    PublicKey(Vec<u8>),
    /// A secret.
    Secret(Secret),
    /// A post-quantum pre-shared key.
    Ppk {
        /// Its PPK_ID: type octet (1 opaque, 2 fixed) and value.
        id: Vec<u8>,
        /// The key.
        secret: Secret,
    },
    /// The server's next EAP packet; with Success, the MSK where the method makes one.
    Eap {
        /// The packet.
        packet: Vec<u8>,
        /// Only with EAP-Success.
        msk: Option<Secret>,
        /// Only with EAP-Success: what the server grants besides.
        granted: Option<Granted>,
    },
    /// No, and why: for the operator.
    Refused(String),
}

impl Answer {
    /// True when this is an answer to that question.
    #[must_use]
    pub fn fits(&self, ask: &Ask) -> bool {
        matches!(
            (ask, self),
            (_, Self::Refused(_))
                | (Ask::Sign { .. }, Self::Signature(_))
                | (Ask::VerifyChain { .. }, Self::PublicKey(_))
                | (Ask::SharedSecret { .. } | Ask::Ppk { .. }, Self::Secret(_))
                | (Ask::NextPpk { .. }, Self::Ppk { .. })
                | (Ask::Eap { .. }, Self::Eap { .. })
        )
    }
}

/// Why an exchange cannot go on now.
#[derive(Debug)]
pub enum Halt {
    /// It is over.
    Refuse(Reason),
    /// Somebody must answer first.
    Ask(Box<Ask>),
}

impl From<Reason> for Halt {
    fn from(reason: Reason) -> Self {
        Self::Refuse(reason)
    }
}

/// The answers that one exchange has been given.
#[derive(Clone, Debug, Default)]
pub struct Answers {
    given: Vec<(Ask, Answer)>,
}

impl Answers {
    /// None.
    pub const NONE: Self = Self { given: Vec::new() };

    /// The answer to `ask`, or the wish to ask it.
    ///
    /// # Errors
    /// [`Halt::Ask`] when it has not been asked, [`Halt::Refuse`] when the answer is no.
    pub fn to(&self, ask: Ask) -> Result<&Answer, Halt> {
        match self.given.iter().find(|(a, _)| *a == ask) {
            None => Err(Halt::Ask(Box::new(ask))),
            Some((_, Answer::Refused(why))) => Err(Reason::Unanswered { why: why.clone() }.into()),
            Some((_, answer)) => Ok(answer),
        }
    }

    /// Keeps an answer.
    pub fn give(&mut self, ask: Ask, answer: Answer) {
        self.given.push((ask, answer));
    }

    /// Forgets them when the exchange is over.
    pub fn clear(&mut self) {
        self.given.clear();
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.given.len()
    }

    /// True without answers.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.given.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_belongs_to_its_question_only() {
        let ppk = |b: u8| Ask::Ppk { id: alloc::vec![b] };
        let mut answers = Answers::default();
        assert!(matches!(answers.to(ppk(1)), Err(Halt::Ask(a)) if *a == ppk(1)));
        answers.give(ppk(1), Answer::Secret(Secret::new(alloc::vec![7])));
        answers.give(ppk(2), Answer::Refused("no".into()));
        assert_eq!(answers.to(ppk(1)).unwrap(), &Answer::Secret(Secret::new(alloc::vec![7])));
        assert!(matches!(answers.to(ppk(2)), Err(Halt::Refuse(Reason::Unanswered { .. }))));
        assert!(matches!(answers.to(ppk(3)), Err(Halt::Ask(_))));
        assert!(!Answer::Signature(alloc::vec![]).fits(&ppk(1)) && Answer::Refused("".into()).fits(&ppk(1)));
    }
}
