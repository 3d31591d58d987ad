//! Nothing secret in any `Debug`, event or reason: conversations with faults in them are printed whole, and the text is
//! searched for the shared secret and for every key, as text, hexadecimal and rows of numbers.

use ravelin_fuzz_targets::conversation_told;
use ravelin_fuzz_targets::mutate::Mutator;

#[test]
fn no_secret_is_ever_printed() {
    let mut mutator = Mutator::new(5, vec![(0..=255).collect()], Vec::new(), 600);
    let mut octets = 0;
    for round in 0..60 {
        let (text, secrets) = conversation_told(&mutator.next_input());
        octets += text.len();
        assert!(text.contains("Established") && secrets.len() >= 3, "round {round} printed nothing worth searching");
        for secret in secrets {
            let shapes = [
                String::from_utf8_lossy(&secret).into_owned(),
                secret.iter().map(|b| format!("{b:02x}")).collect(),
                secret.iter().map(|b| format!("{b:02X}")).collect(),
                secret.iter().map(|b| b.to_string()).collect::<Vec<_>>().join(", "),
            ];
            // Half of a key is a leak as well.
            for shape in &shapes {
                let half: String = shape.chars().take(shape.chars().count() / 2).collect();
                assert!(!text.contains(&half), "round {round}: a secret is printed as {half}");
            }
        }
    }
    assert!(octets > 100_000, "{octets} octets of text are too few");
}
