//! Differential: our codec and scapy's (Python, Debian's python3-scapy), both ways. Messages of our own nodes and mutations
//! that still decode are read by scapy: header, chain, proposals, notifies must be the same. Messages that scapy makes are read
//! by us and must encode to the same octets. Without scapy the test says so in one line and returns.

use ravelin::ike::wire::Message;
use ravelin::ike::wire::payload::{AttributeValue, Payload};
use ravelin_fuzz_targets::mutate::Mutator;
use ravelin_fuzz_targets::seeds;
use std::io::Write as _;
use std::process::{Command, Stdio};

/// Lines of hexadecimal in, a line about each out; then lines of messages of its own.
const SCAPY: &str = r#"
import sys, random
try:
    from scapy.contrib import ikev2 as k
    from scapy.compat import raw
except Exception as e:
    print("no scapy:", e); sys.exit(0)
KINDS = {'SA': 33, 'KE': 34, 'IDi': 35, 'IDr': 36, 'AUTH': 39, 'Nonce': 40, 'Notify': 41, 'Delete': 42, 'VendorID': 43, 'TSi': 44, 'TSr': 45,
         'Encrypted': 46, 'CP': 47, 'Encrypted_Fragment': 53}
def row(p):
    out = []
    while p is not None and type(p).__name__ not in ('NoPayload', 'Raw', 'Padding'):
        out.append(p); p = p.payload
    return out
def hexed(b): return bytes(b).hex()
def tell(p):
    out = ["%s %s %d %d %d %d %d" % (p.init_SPI.hex(), p.resp_SPI.hex(), p.next_payload, p.version, p.exch_type, p.flags.value if hasattr(p.flags, 'value') else int(p.flags), p.id)]
    l = p.payload
    while l is not None and type(l).__name__.startswith('IKEv2_payload'):
        name = type(l).__name__[len('IKEv2_payload_'):]
        kind = KINDS.get(name)
        if kind is None: return None
        text = "%d/%d" % (kind, l.length)
        if name == 'Notify': text += ":%d,%d,%s" % (l.proto, l.type, hexed(l.SPI) + '|' + hexed(l.load))
        if name == 'Nonce': text += ":" + hexed(l.load)
        if name == 'KE': text += ":%d,%s" % (l.group, hexed(l.load))
        if name == 'SA':
            for q in row(l.prop):
                ts = row(q.trans)
                text += ":%d,%d,%s(" % (q.proposal, q.proto, hexed(q.SPI))
                text += ";".join("%d.%d.%s" % (t.transform_type, t.transform_id, (t.key_length if t.length > 8 else '-')) for t in ts) + ")"
        out.append(text)
        if name.startswith('Encrypted'): break
        l = l.payload
    return " ".join(out)
for line in sys.stdin:
    line = line.strip()
    if line == '.': break
    try: print(tell(k.IKEv2(bytes.fromhex(line))) or '-')
    except Exception as e: print("! " + repr(e))
r = random.Random(7)
def b(n): return bytes(r.randrange(256) for _ in range(n))
for i in range(400):
    parts = []
    for _ in range(r.randrange(1, 6)):
        c = r.randrange(5)
        if c == 0:
            ts = [k.IKEv2_payload_Transform(next_payload=3 if j < 3 else 0, transform_type=r.randrange(1, 6), transform_id=r.randrange(40), length=8) for j in range(4)]
            p = ts[0]
            for t in ts[1:]: p = p / t
            parts.append(('SA', k.IKEv2_payload_SA(prop=k.IKEv2_payload_Proposal(proto=1, trans_nb=4, trans=p))))
        if c == 1: parts.append(('KE', k.IKEv2_payload_KE(group=r.randrange(1, 40), load=b(r.randrange(1, 90)))))
        if c == 2: parts.append(('Nonce', k.IKEv2_payload_Nonce(load=b(r.randrange(16, 64)))))
        if c == 3: parts.append(('Notify', k.IKEv2_payload_Notify(proto=0, type=r.choice([16388, 16389, 16430, 14, 40000]), load=b(r.randrange(40)))))
        if c == 4: parts.append(('VendorID', k.IKEv2_payload_VendorID(vendorID=b(16)) if hasattr(k.IKEv2_payload_VendorID, 'vendorID') else k.IKEv2_payload_Nonce(load=b(20))))
    names = {'VendorID': 43}
    parts = [(n if type(x).__name__.endswith(n) else 'Nonce', x) for n, x in parts]
    m = k.IKEv2(init_SPI=b'\x01' + b(7), resp_SPI=b(8), next_payload=KINDS[parts[0][0]], exch_type=r.choice([34, 36, 37]), flags=r.choice([8, 32, 40]), id=r.randrange(1 << 32))
    for j, (_, x) in enumerate(parts):
        x.next_payload = KINDS[parts[j + 1][0]] if j + 1 < len(parts) else 0
        m = m / x
    print(raw(m).hex())
"#;

/// What we make of a message, in the words of the script above; `None` when it holds what scapy does not tell.
fn ours(message: &Message) -> Option<String> {
    let h = &message.header;
    let mut out = vec![format!(
        "{:016x} {:016x} {} {} {} {} {}",
        h.initiator_spi.0, h.responder_spi.0, h.next_payload.0, h.version, h.exchange.0, h.flags.0, h.message_id
    )];
    let hex = |b: &[u8]| b.iter().map(|x| format!("{x:02x}")).collect::<String>();
    for payload in message.payloads.iter() {
        let mut body = Vec::new();
        payload.emit(&mut body).ok()?;
        let mut text = format!("{}/{}", payload.kind().0, body.len() + 4);
        match payload {
            Payload::Notify(n) => text += &format!(":{},{},{}|{}", n.protocol.0, n.kind.0, hex(&n.spi), hex(&n.data)),
            Payload::Nonce(n) => text += &format!(":{}", hex(&n.data)),
            Payload::Ke(ke) => text += &format!(":{},{}", ke.method.0, hex(&ke.data)),
            Payload::Sa(sa) => {
                for p in &sa.proposals {
                    let transforms: Option<Vec<String>> = p
                        .transforms
                        .iter()
                        .map(|t| {
                            let key = match t.attributes.as_slice() {
                                [] => "-".to_string(),
                                [a] => match &a.value {
                                    AttributeValue::Short(v) => v.to_string(),
                                    _ => return None,
                                },
                                _ => return None,
                            };
                            Some(format!("{}.{}.{key}", t.kind.0, t.id))
                        })
                        .collect();
                    text += &format!(":{},{},{}({})", p.number, p.protocol.0, hex(&p.spi), transforms?.join(";"));
                }
            }
            Payload::Encrypted(_) | Payload::EncryptedFragment(_) | Payload::VendorId(_) => {}
            _ => return None,
        }
        out.push(text);
    }
    Some(out.join(" "))
}

#[test]
fn scapy_reads_what_we_write_and_we_read_what_scapy_writes() {
    let mut messages: Vec<Vec<u8>> = (0..4).flat_map(seeds::recorded).collect();
    messages.retain(|m| Message::decode(m).is_ok());
    let mut mutator = Mutator::new(11, messages.clone(), Vec::new(), 1200);
    let fresh = (0..60_000).map(|_| mutator.next_input()).filter(|m| Message::decode(m).is_ok()).take(600);
    messages.extend(fresh);
    let python = ["/usr/bin/python3", "python3"].into_iter().find(|p| Command::new(p).arg("-V").output().is_ok());
    let Some(python) = python else { return println!("skipped: no python3") };
    let child = Command::new(python)
        .args(["-c", SCAPY])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn();
    let Ok(mut child) = child else { return println!("skipped: python3 does not start") };
    let mut text: String =
        messages.iter().map(|m| m.iter().map(|b| format!("{b:02x}")).collect::<String>() + "\n").collect();
    text.push_str(".\n");
    let mut stdin = child.stdin.take().expect("a pipe");
    let writer = std::thread::spawn(move || drop(stdin.write_all(text.as_bytes())));
    let output = child.wait_with_output().expect("its output");
    writer.join().expect("the writer");
    let said = String::from_utf8_lossy(&output.stdout);
    if said.starts_with("no scapy") {
        return println!("skipped: {}", said.trim());
    }
    let mut lines = said.lines();
    let (mut same, mut unlike) = (0, Vec::new());
    for message in &messages {
        let (theirs, decoded) =
            (lines.next().expect("a line for each"), Message::decode(message).expect("it decoded before"));
        let Some(ours) = ours(&decoded) else { continue };
        // Where scapy gives up or stops early there is nothing to compare.
        if theirs == "-" || theirs.starts_with('!') || (theirs.len() < ours.len() && ours.starts_with(theirs)) {
            continue;
        }
        if theirs == ours { same += 1 } else { unlike.push(format!("ours:  {ours}\nscapy: {theirs}")) }
    }
    println!("{same} of {} messages read alike by scapy, {} unlike", messages.len(), unlike.len());
    for u in unlike.iter().take(5) {
        println!("{u}");
    }
    assert!(same > 100, "only {same} messages could be compared");
    assert!(unlike.is_empty(), "{} messages are read differently:\n{}", unlike.len(), unlike[0]);
    let mut made = 0;
    for line in lines {
        let bytes: Vec<u8> =
            (0..line.len() / 2).filter_map(|i| u8::from_str_radix(&line[2 * i..2 * i + 2], 16).ok()).collect();
        match Message::decode(&bytes) {
            Ok(m) => assert_eq!(m.encode().expect("it encodes"), bytes),
            Err(e) => panic!("{e}: a message of scapy is not read: {line}"),
        }
        made += 1;
    }
    assert_eq!(made, 400, "messages that scapy made");
}
