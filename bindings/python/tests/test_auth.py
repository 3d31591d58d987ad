"""Who proves what, by builder objects: certificates, raw keys, keys elsewhere, EAP, pools of addresses, post-quantum keys."""

from __future__ import annotations

import datetime
import hashlib

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.x509.oid import NameOID

from ravelin import Child, asks, events
from ravelin.testing import packets

DER = serialization.Encoding.DER
FROM, TO = datetime.datetime(2020, 1, 1), datetime.datetime(2040, 1, 1)


def spki(key) -> bytes:
    return key.public_key().public_bytes(DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def pkcs8(key) -> bytes:
    return key.private_bytes(DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())


class Ca:
    """A CA, and what it signed."""

    def __init__(self, name: str = "Lab CA", revoked: tuple[int, ...] = ()) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.der = self._sign(self.name, self.key, 1, x509.BasicConstraints(True, None)).public_bytes(DER)
        crl = x509.CertificateRevocationListBuilder().issuer_name(self.name).last_update(FROM).next_update(TO)
        for serial in revoked:
            crl = crl.add_revoked_certificate(x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(FROM).build())
        crl = crl.add_extension(x509.CRLNumber(1), False).add_extension(self._authority(), False)
        self.crl = crl.sign(self.key, hashes.SHA256()).public_bytes(DER)

    def _authority(self) -> x509.AuthorityKeyIdentifier:
        return x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key())

    def _sign(self, subject, key, serial, constraints, *names):
        usage = dict.fromkeys(
            ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "encipher_only", "decipher_only"), False)
        usage |= {"digital_signature": not constraints.ca, "key_cert_sign": constraints.ca, "crl_sign": constraints.ca}
        made = (
            x509.CertificateBuilder().subject_name(subject).issuer_name(self.name).public_key(key.public_key()).serial_number(serial)
            .not_valid_before(FROM).not_valid_after(TO).add_extension(constraints, True).add_extension(x509.KeyUsage(**usage), True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False).add_extension(self._authority(), False)
        )
        if names:
            made = made.add_extension(x509.SubjectAlternativeName([x509.DNSName(n) for n in names]), False)
        return made.sign(self.key, hashes.SHA256())

    def issue(self, name: str, key, serial: int) -> bytes:
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        return self._sign(subject, key, serial, x509.BasicConstraints(False, None), name).public_bytes(DER)


KEYS = {"a": ec.generate_private_key(ec.SECP256R1()), "b": ec.generate_private_key(ec.SECP384R1())}
CA = Ca(revoked=(66,))


def fields(name: str, serial: int = 2, **more):
    """What one side of a pair with certificates is told."""
    mine = {"certificates": [CA.issue(f"{name}.test", KEYS[name], serial)], "key": pkcs8(KEYS[name]), "anchors": [CA.der]}
    return {"psk": None, "auth": "pubkey", **mine, **more}


def fails(p, side: str, *words: str) -> None:
    p.initiate()
    host = getattr(p, side)
    assert p.network.run(300, until=lambda: p.a.saw(events.Closed) and (host is p.a or host.outputs))
    said = [o.reason.text for h in (p.a, p.b) for _, o in h.outputs if isinstance(o, events.Closed | events.Noted)]
    assert not p.a.saw(events.ChildEstablished) and any(all(w in t for w in words) for t in said), said


def test_certificates_both_ways(ravelin_two):
    p = ravelin_two(fields("a"), fields("b", 3))
    p.up()
    assert p.a.saw(events.Established).remote_id == "b.test" and p.ping()


def test_a_chain_to_another_ca_is_refused_with_words(ravelin_two):
    other = Ca("Other CA")
    fails(ravelin_two(fields("a", anchors=[other.der]), fields("b", 3)), "a", "certificate")


def test_a_revoked_certificate_is_refused(ravelin_two):
    crls = {"crls": [CA.crl], "revocation": "required"}
    ravelin_two(fields("a", 5, **crls), fields("b", 4, **crls)).up()
    fails(ravelin_two(fields("a", 5, **crls), fields("b", 66, **crls)), "a", "revoked")


def test_raw_public_keys(ravelin_two):
    raw = {"psk": None, "auth": "pubkey"}
    p = ravelin_two(
        {**raw, "key": pkcs8(KEYS["a"]), "raw_keys": [spki(KEYS["b"])]}, {**raw, "key": pkcs8(KEYS["b"]), "raw_keys": [spki(KEYS["a"])]})
    p.up()
    assert p.ping()


def answering(host, answer) -> list:
    """Answers each question by `answer`; gives the list that they will be in."""
    seen: list = []

    def react(output) -> None:
        if isinstance(output, asks.Sign | asks.VerifyChain | asks.Ppk | asks.NextPpk | asks.Eap):
            seen.append(output)
            host.node.answer(output.ticket, answer(output), host.now)

    host.on_output = react
    return seen


@pytest.mark.parametrize("no", [None, asks.Sign, asks.VerifyChain])
def test_a_token_signs_and_somebody_else_judges_the_chain(ravelin_two, no):
    token = ed25519.Ed25519PrivateKey.generate()
    chain = [CA.issue("b.test", token, 7)]

    def answer(ask):
        match ask:
            case _ if no is not None and isinstance(ask, no):
                return asks.Refused("the token is locked")
            case asks.Sign(_, public, "ed25519", octets):
                assert public == spki(token)
                return asks.Signature(token.sign(octets))
            case asks.VerifyChain(_, given, "b.test"):
                assert list(given) == chain
                return asks.PublicKey(spki(token))

    p = ravelin_two(
        {"remote_auth": ["pubkey"]},
        {"auth": "pubkey", "remote_auth": ["psk"], "certificates": chain, "public_key": spki(token), "schemes": ["ed25519"]},
        settings={"asks": True},
    )
    a, b = answering(p.a, answer), answering(p.b, answer)
    if no is not None:
        return fails(p, "b", "the token is locked")
    p.up()
    assert [type(x) for x in a + b] == [asks.VerifyChain, asks.Sign]


SERVER = {"auth": "pubkey", "remote_auth": ["eap"], "key": pkcs8(KEYS["b"])}
USER = {"auth": "eap", "remote_auth": ["pubkey"], "raw_keys": [spki(KEYS["b"])], "eap_id": "carol"}


@pytest.mark.parametrize("method", ["mschapv2", "gtc", "md5"])
def test_eap_with_a_password(ravelin_two, method):
    server = {**SERVER, "eap": [method], "eap_id": "carol", "eap_password": b"pw"}
    p = ravelin_two({**USER, "eap": [method], "eap_password": b"pw"}, server)
    p.up()
    assert p.ping()
    fails(ravelin_two({**USER, "eap": [method], "eap_password": b"wrong"}, server), "b", "carol")


def test_eap_by_another_server(ravelin_two):
    """MD5-Challenge by an EAP server that is this test (RFC 3748, section 5.4)."""
    challenge = b"sixteen octets .."[:16]

    def server(password: bytes):
        def answer(ask: asks.Eap):
            if not ask.packet:
                return asks.EapPacket(bytes([1, 9, 0, 22, 4, 16]) + challenge)
            right = hashlib.md5(bytes([ask.packet[1]]) + password + challenge).digest()
            good = ask.packet[:2] == bytes([2, 9]) and ask.packet[4:6] == bytes([4, 16]) and ask.packet[6:22] == right
            return asks.EapPacket(bytes([3 if good else 4, 9, 0, 4]))

        return answer

    for password in (b"pw", b"other"):
        p = ravelin_two({**USER, "eap": ["md5"], "eap_password": b"pw"}, {**SERVER, "eap": ["relay"]}, settings={"asks": True})
        seen = answering(p.b, server(password))
        if password == b"pw":
            p.up()
        else:
            fails(p, "b", "EAP")
        assert len(seen) == 2


def test_a_pool_leases_addresses_and_says_dns(ravelin_two):
    p = ravelin_two(
        {"request_v4": True, "children": [Child(name="net", local_ts=[], remote_ts=["10.2.0.0/24"], start="none")]},
        {"pools": ["guests"], "children": [Child(name="net", local_ts=["10.2.0.0/24"], remote_ts=[], start="none")]},
        pools={"b": ("guests", ["10.3.0.0/30"], ["10.2.0.53"])},
    )
    p.up()
    settings = p.a.saw(events.Assigned).settings
    address = settings.addresses[0].split("/")[0]
    assert address.startswith("10.3.0.") and settings.dns == ("10.2.0.53",)
    assert p.b.saw(events.Leased).addresses == (address,)
    assert p.b.saw(events.ChildEstablished).remote_ts == (f"{address}/32",)
    p.a.send(packets.echo(address, "10.2.0.1"))
    assert p.network.run(5, until=lambda: p.b.delivered)
    p.b.send(packets.echo("10.2.0.1", address))
    assert p.network.run(5, until=lambda: p.a.delivered)


PPK = {"ppk_id": b"q1", "ppk": b"thirty-two octets of true chance"}


@pytest.mark.parametrize("method", ["auth", "intermediate"])
def test_a_configured_ppk(ravelin_two, method):
    p = ravelin_two({**PPK, "ppk_required": True, "ppk_method": method}, {**PPK, "ppk_required": True, "ppk_method": method})
    p.up()
    fails(ravelin_two({**PPK, "ppk_required": True}, {}), "a", "policy demands USE_PPK")
    fails(ravelin_two({**PPK, "ppk_required": True}, {**PPK, "ppk": b"another"}), "b", "")


def test_ppks_of_a_key_distribution_system(ravelin_two):
    """The next key by `NextPpk`, the peer's by its name by `Ppk`, and one more for each rekeying."""
    keys: dict[bytes, bytes] = {}

    def distribute(ask):
        match ask:
            case asks.NextPpk(_, "a.test", _, "b"):
                name = bytes([2]) + b"key-%d" % len(keys)
                keys[name] = hashlib.sha256(name).digest()
                return asks.PpkSecret(name, keys[name])
            case asks.Ppk(_, name):
                return asks.Secret(keys[name])

    asked = {"ppk_source": "asked", "ppk_required": True, "ppk_rekey": True}
    p = ravelin_two(asked, asked, settings={"asks": True})
    a, b = answering(p.a, distribute), answering(p.b, distribute)
    p.up()
    assert ([type(x) for x in a], [type(x) for x in b]) == ([asks.NextPpk], [asks.Ppk])
    p.a.node.rekey_child(p.a.saw(events.ChildEstablished).child, p.a.now)
    assert p.network.run(5, until=lambda: p.a.saw(events.ChildRekeyed))
    p.a.node.rekey(p.a.saw(events.Established).sa, p.a.now)
    assert p.network.run(5, until=lambda: p.a.saw(events.Rekeyed) and p.b.saw(events.Rekeyed))
    assert len(keys) == 3 and len(a) == 3 and {x.id for x in b} == set(keys) and p.ping()


@pytest.mark.parametrize("side", ["a", "b"])
def test_a_required_ppk_that_nobody_has_ends_it(ravelin_two, side):
    p = ravelin_two(
        {"ppk_source": "asked", "ppk_required": True}, {"ppk_source": "asked", "ppk_required": True}, settings={"asks": True})
    answering(getattr(p, side), lambda _: asks.Refused("no keys left"))
    answering(p.b if side == "a" else p.a, lambda _: asks.PpkSecret(bytes([2]) + b"x", b"x" * 32))
    fails(p, "a", "post-quantum" if side == "a" else "")
