//! Texts to proposals and back, and the errors that name their token.

use super::*;
use ProposalProtocol::{Ah, Esp, Ike};

#[test]
fn reads_what_operators_write() {
    let p = Proposal::parse(Ike, "aes128gcm16-prfsha256-ecp256").unwrap();
    assert_eq!(p.encr, [EncrAlg::new(EncrId::AES_GCM_16, 128)]);
    assert_eq!((p.prf.as_slice(), p.ke.as_slice()), ([PrfId::HMAC_SHA2_256].as_slice(), [KeId::ECP_256].as_slice()));
    assert!(p.integ.is_empty() && p.sn.is_empty() && p.is_aead());

    let p = Proposal::parse(Ike, "aes256-sha256-modp2048").unwrap();
    assert_eq!((p.integ[0], p.prf[0]), (IntegId::HMAC_SHA2_256_128, PrfId::HMAC_SHA2_256));

    let p = Proposal::parse(Esp, "chacha20poly1305-x25519-esn").unwrap();
    assert_eq!(
        (p.encr[0], p.sn.as_slice()),
        (EncrAlg::fixed(EncrId::CHACHA20_POLY1305), [SnId::PARTIAL_64].as_slice())
    );

    let p = Proposal::parse(Esp, "aes256gcm16-x25519-ke1_mlkem768-ke1_none").unwrap();
    assert_eq!(p.addke[0], [KeId::ML_KEM_768, KeId::NONE]);
    assert_eq!(p.sn, [SnId::SEQUENTIAL_32]);
    assert!(p.without_addke().is_some_and(|p| !p.has_addke()));

    let p = Proposal::parse(Esp, "null-sha256").unwrap();
    assert_eq!((p.encr[0].id, p.integ[0]), (EncrId::NULL, IntegId::HMAC_SHA2_256_128));
    let p = Proposal::parse(Esp, "aes128gcm16-esn-noesn").unwrap();
    assert_eq!(p.sn, [SnId::PARTIAL_64, SnId::SEQUENTIAL_32]);
    assert!(Proposal::parse(Ah, "sha256-esn").is_ok());
}

#[test]
fn refuses_with_the_token_and_the_rule() {
    let e = Proposal::parse(Ike, "aes256-sha257-modp2048").unwrap_err();
    assert_eq!((e.token.as_str(), e.problem), ("sha257", Problem::Unknown));
    assert!(e.to_string().contains("\"sha257\"") && e.to_string().contains("expected"), "{e}");
    let problem = |p, s| Proposal::parse(p, s).unwrap_err().problem;
    assert_eq!(problem(Ike, "aes256-aes256gcm16-sha256-x25519"), Problem::MixedAead);
    assert_eq!(problem(Ike, "aes256gcm16-sha256-x25519"), Problem::AeadWithIntegrity);
    assert_eq!(problem(Ike, "aes256gcm16-x25519"), Problem::NoPrf);
    assert_eq!(problem(Ike, "aes256-sha256"), Problem::NoKeyExchange);
    assert_eq!(problem(Ike, "aes256-sha256-x25519-esn"), Problem::WrongProtocol);
    assert_eq!(problem(Ike, "aes256gcm16iiv-prfsha256-x25519"), Problem::NotForIke);
    assert_eq!(problem(Esp, "aes256-x25519"), Problem::NoIntegrity);
    assert_eq!(problem(Esp, "aes256-prfsha256"), Problem::WrongProtocol);
    assert_eq!(problem(Esp, "sha256"), Problem::NoCipher);
    assert_eq!(problem(Esp, "aes128gcm16-ke8_none"), Problem::Unknown);
    assert_eq!(problem(Esp, ""), Problem::Unknown);
    assert_eq!(problem(Esp, "encr12-sha256"), Problem::KeyLength);
    assert_eq!(problem(Esp, "aes128gcm16-ke1_mlkem768"), Problem::NoKeyExchange);
}

#[test]
fn printed_reads_back() {
    for p in Proposal::default_ike().into_iter().chain(Proposal::default_esp()) {
        assert_eq!(p.validate(), Ok(()));
        assert_eq!(Proposal::parse(p.protocol, &p.to_string()).unwrap(), p, "{p}");
    }
    for text in
        ["encr999_256-integ77-sn9", "aes192ccm8-ke99-noesn", "camellia256-sha512-ecp256bp-noesn", "3des-sha1-noesn"]
    {
        assert_eq!(Proposal::parse(Esp, text).unwrap().to_string(), text);
    }
    for (id, _) in EncrId::KNOWN {
        for key_bits in [None, Some(128), Some(256)] {
            let a = EncrAlg { id: *id, key_bits };
            if id.needs_key_length() == key_bits.is_some() {
                assert_eq!(tokens::token(&tokens::encr_name(a)), Some(Token::Encr(a)));
            }
        }
    }
    KeId::KNOWN.iter().for_each(|(id, _)| assert_eq!(tokens::token(&tokens::ke_name(*id)), Some(Token::Ke(*id))));
    PrfId::KNOWN.iter().for_each(|(id, _)| assert_eq!(tokens::token(&tokens::prf_name(*id)), Some(Token::Prf(*id))));
    IntegId::KNOWN
        .iter()
        .for_each(|(id, _)| assert_eq!(tokens::token(&tokens::integ_name(*id)), Some(Token::Integ(*id))));
}

#[test]
fn an_offer_shrinks_to_what_is_implemented() {
    let nothing = Provider::default();
    assert!(Proposal::default_ike()[0].supported_by(&nothing).is_none());
}
