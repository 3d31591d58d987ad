//! What stands between the outer IP header and ESP. To add one: a file here, a variant in `sa_db::Encapsulation`.

pub mod tcp;
pub mod udp;
