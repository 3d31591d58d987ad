//! Name servers that peers assign, as lines of resolv.conf(5), only where the configuration names that file. Our lines are
//! marked and stand before the others, which are left as they are. The file is written in place: it is often a mount or a link.

use std::io;
use std::net::IpAddr;
use std::path::PathBuf;

const MARK: &str = "# by ravelin gateway";

/// The file, as long as it is ours to write; dropping it takes our lines out.
#[derive(Debug)]
pub(crate) struct Resolv {
    path: Option<PathBuf>,
    servers: Vec<IpAddr>,
}

impl Resolv {
    /// `None`: nothing is written.
    pub(crate) fn new(path: Option<PathBuf>) -> Self {
        Self { path, servers: Vec::new() }
    }

    /// Our lines are these from now on.
    pub(crate) fn apply(&mut self, servers: Vec<IpAddr>) -> io::Result<()> {
        let Some(path) = self.path.as_ref().filter(|_| servers != self.servers) else { return Ok(()) };
        let told = |e: io::Error| io::Error::new(e.kind(), format!("{}: {e}", path.display()));
        let text = match std::fs::read_to_string(path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => String::new(),
            other => other.map_err(told)?,
        };
        std::fs::write(path, with(&text, &servers)).map_err(told)?;
        self.servers = servers;
        Ok(())
    }
}

fn with(text: &str, servers: &[IpAddr]) -> String {
    let ours = servers.iter().map(|s| format!("nameserver {s} {MARK}\n"));
    let others = text.lines().filter(|l| !l.ends_with(MARK)).map(|l| format!("{l}\n"));
    ours.chain(others).collect()
}

impl Drop for Resolv {
    fn drop(&mut self) {
        if let Err(e) = self.apply(Vec::new()) {
            tracing::warn!("{e}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_lines_come_and_go() {
        let path = std::env::temp_dir().join(format!("ravelin-resolv-{}", std::process::id()));
        std::fs::write(&path, "search example.org\nnameserver 192.0.2.53\n").unwrap();
        let read = || std::fs::read_to_string(&path).unwrap();
        let mut resolv = Resolv::new(Some(path.clone()));
        resolv.apply(vec!["10.0.0.53".parse().unwrap(), "fd00::53".parse().unwrap()]).unwrap();
        let ours = format!("nameserver 10.0.0.53 {MARK}\nnameserver fd00::53 {MARK}\n");
        assert_eq!(read(), ours + "search example.org\nnameserver 192.0.2.53\n");
        drop(resolv);
        assert_eq!(read(), "search example.org\nnameserver 192.0.2.53\n");
        // lines of a run that was killed go too
        std::fs::write(&path, format!("nameserver 10.0.0.53 {MARK}\n")).unwrap();
        Resolv::new(Some(path.clone())).apply(vec!["10.0.0.54".parse().unwrap()]).unwrap();
        assert_eq!(read(), "");
        std::fs::remove_file(path).unwrap();
    }
}
