//! The ordinary test run of the fuzz targets: all corpora and past crashes, then a stated number of fresh inputs for each
//! target (`TARGETS`), and what an input may allocate. `RAVELIN_FULL=1` runs a hundred times as many, `RAVELIN_FUZZ_FRESH=N` N times.

use ravelin_fuzz_targets::alloc::{Counting, spent};
use ravelin_fuzz_targets::mutate::{Mutator, dictionary};
use ravelin_fuzz_targets::{TARGETS, Target, seeds, target};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn fuzz() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn words(name: &str) -> Vec<Vec<u8>> {
    let file = match name {
        "certificate" | "crl" | "ocsp" => "der.dict",
        "config_toml" => "toml.dict",
        _ => "ikev2.dict",
    };
    dictionary(&std::fs::read_to_string(fuzz().join("dict").join(file)).expect("the dictionary"))
}

/// Runs one input; when it fails, it is written to `target/` and named before the panic goes on.
fn run(target: &Target, input: &[u8]) {
    let result = catch_unwind(AssertUnwindSafe(|| (target.run)(input)));
    if let Err(panic) = result {
        let file = fuzz().join(format!("../target/crash-{}", target.name));
        let _ = std::fs::write(&file, input);
        eprintln!("target {} failed on {} octets, kept in {}", target.name, input.len(), file.display());
        resume_unwind(panic);
    }
}

fn exercise(name: &str) {
    let target = target(name);
    let mut inputs = seeds::read_dir(&fuzz().join("corpus").join(name));
    let kept = inputs.len();
    inputs.extend(seeds::read_dir(&fuzz().join("regressions").join(name)));
    let crashes = inputs.len() - kept;
    inputs.extend(seeds::in_place(name));
    let others = inputs.len() - kept - crashes;
    // What a campaign found and nobody committed; for coverage.
    if std::env::var_os("RAVELIN_FUZZ_WORK").is_some() {
        inputs.extend(seeds::read_dir(&fuzz().join("work").join(name)));
    }
    inputs.iter().for_each(|input| run(target, input));
    let full = if std::env::var_os("RAVELIN_FULL").is_some() { 100 } else { 1 };
    let factor = std::env::var("RAVELIN_FUZZ_FRESH").ok().and_then(|n| n.parse().ok()).unwrap_or(full);
    let mut mutator = Mutator::new(1, inputs, words(name), target.max_len);
    for _ in 0..target.executions * factor {
        run(target, &mutator.next_input());
    }
    println!("{name}: corpus {kept}, past crashes {crashes}, in place {others}, fresh {}", target.executions * factor);
    assert!(kept > 0, "no corpus for {name}");
}

macro_rules! targets {
    ($($name:ident)*) => {
        $(#[test] fn $name() { exercise(stringify!($name)); })*
        #[test]
        fn every_target_is_run_and_has_a_wrapper() {
            let mut here = vec![$(stringify!($name)),*];
            let mut all: Vec<&str> = TARGETS.iter().map(|t| t.name).collect();
            here.sort_unstable();
            all.sort_unstable();
            assert_eq!(here, all);
            let manifest = std::fs::read_to_string(fuzz().join("Cargo.toml")).expect("fuzz/Cargo.toml");
            for name in all {
                let wrapper = fuzz().join(format!("fuzz_targets/{name}.rs"));
                let text = std::fs::read_to_string(&wrapper).unwrap_or_default();
                assert!(text.contains(&format!("\"{name}\"")), "{} is missing", wrapper.display());
                assert!(manifest.contains(&format!("name = \"{name}\"")), "{name} is not in fuzz/Cargo.toml");
            }
        }
    };
}

targets! {
    message payload sk skf conversation initiator stranger esp_raw esp_sealed replay_window config_toml certificate crl
    ocsp radius c_abi eap_server eap_client spd
}

/// The corpus reaches what the reference model is about.
#[test]
fn the_model_has_something_to_judge() {
    let target = target("conversation");
    seeds::read_dir(&fuzz().join("corpus/conversation")).iter().for_each(|input| run(target, input));
    let (judged, changed) = ravelin_fuzz_targets::model_judged();
    println!("model: {judged} answered requests judged, {changed} of them made or ended Child SAs");
    assert!(judged > 100 && changed > 10, "{judged}, {changed}");
}

/// Allocation is linear in the input, with stated factors (octets per octet of input, and a constant).
#[test]
fn allocation_per_octet_is_bounded() {
    for (name, per_octet, constant) in [("message", 600, 20_000), ("payload", 600, 20_000), ("esp_raw", 8, 200_000)] {
        let target = target(name);
        let inputs = seeds::read_dir(&fuzz().join("corpus").join(name));
        let mut mutator = Mutator::new(2, inputs.clone(), words(name), target.max_len);
        let mut worst = (0.0, 0, 0);
        let fresh: Vec<Vec<u8>> = (0..3_000).map(|_| mutator.next_input()).collect();
        for input in inputs.iter().chain(&fresh) {
            (target.run)(input);
            let ((), calls, octets) = spent(|| (target.run)(input));
            let limit = constant + per_octet * input.len() as u64;
            assert!(octets <= limit, "{name}: {octets} octets allocated for an input of {}: {input:02x?}", input.len());
            let ratio = octets as f64 / input.len().max(1) as f64;
            if input.len() >= 64 && ratio > worst.0 {
                worst = (ratio, octets, calls);
            }
        }
        println!(
            "{name}: at most {:.0} octets allocated per octet of input ({} octets in {} calls)",
            worst.0, worst.1, worst.2
        );
    }
}

/// What the codec itself allocates, without the checks of the target around it.
#[test]
fn the_codec_allocates_in_proportion() {
    use ravelin::ike::wire::{Envelope, Message};
    let seeds = seeds::read_dir(&fuzz().join("corpus/message"));
    let mut mutator = Mutator::new(3, seeds.clone(), words("message"), 65_000);
    // The most payloads, proposals, transforms, selectors and attributes that fit.
    let dense = |kind: u8, body: &[u8]| {
        let mut m = vec![0; 28];
        (m[7], m[16], m[17], m[18], m[19]) = (1, kind, 0x20, 34, 8);
        let mut rest = Vec::new();
        while rest.len() + body.len() + 4 < 60_000 {
            rest.extend([kind, 0]);
            rest.extend(((body.len() + 4) as u16).to_be_bytes());
            rest.extend(body);
        }
        m.extend(rest);
        let len = (m.len() as u32).to_be_bytes();
        m[24..28].copy_from_slice(&len);
        m
    };
    let mut inputs =
        vec![dense(43, &[]), dense(41, &[0, 0, 64, 1]), dense(42, &[3, 4, 0, 1, 1, 1, 1, 1]), dense(99, &[])];
    inputs.extend(seeds);
    inputs.extend((0..5_000).map(|_| mutator.next_input()));
    let mut worst = 0.0f64;
    for input in inputs {
        let (_, calls, octets) = spent(|| (Envelope::parse(&input), Message::decode(&input)));
        assert!(octets <= 4096 + 80 * input.len() as u64, "{octets} octets for {}", input.len());
        assert!(calls <= 64 + 2 * input.len() as u64, "{calls} allocations for {}", input.len());
        if input.len() >= 64 {
            worst = worst.max(octets as f64 / input.len() as f64);
        }
    }
    println!("codec: at most {worst:.0} octets allocated per octet of input, twice decoded");
}
