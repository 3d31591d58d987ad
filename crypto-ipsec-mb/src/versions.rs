//! The versions of the library whose calls and structures `ffi.rs` declares. The build script reads this file too.

/// `IMB_VERSION_NUM`, 1.1 to 1.5; 2.0 has others. To add one: compare its header with `tests/header.rs`.
pub(crate) const VERSIONS: std::ops::RangeInclusive<u32> = 0x1_01_00..=0x1_05_ff;
