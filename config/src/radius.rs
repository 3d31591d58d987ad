//! `[[radius]]`: servers that authenticate EAP users (`eap = "radius"`), in order. To add a key: one line here, one in
//! docs/gateway.md.

use super::document::{Result, Section};
use super::words;
use ravelin::crypto::Secret;
use std::net::{IpAddr, SocketAddr};

/// A RADIUS server.
#[derive(Clone, Debug)]
pub struct Radius {
    /// Where access is asked for.
    pub access: SocketAddr,
    /// Where is reported to.
    pub accounting: Option<SocketAddr>,
    /// The shared secret.
    pub secret: Secret,
    /// What we are called (NAS-Identifier).
    pub nas: String,
}

const SERVER: &str = "an IP address, with or without a port (1812)";

fn address(text: &str, port: u16) -> Option<SocketAddr> {
    text.parse().ok().or_else(|| text.parse::<IpAddr>().ok().map(|a| SocketAddr::new(a, port)))
}

pub(super) fn read(s: Section<'_>) -> Result<Radius> {
    let access = s.needed("server", SERVER)?.parse(SERVER, |t| address(t, 1812))?;
    let what = "an IP address, with or without a port (1813), or \"off\"";
    let same = Some(SocketAddr::new(access.ip(), 1813));
    let accounting = s.parsed("accounting", what, same, |t| match t {
        "off" => Some(None),
        t => address(t, 1813).map(Some),
    })?;
    let secret = s.hidden("secret", words::SECRET, words::secret)?;
    let secret = secret.ok_or_else(|| s.missing("secret", words::SECRET))?;
    let nas =
        s.text("nas", "what this gateway is called")?.map_or_else(|| "ravelin".to_owned(), |f| f.value.to_owned());
    s.finish()?;
    Ok(Radius { access, accounting, secret, nas })
}
