"""Certificates say who somebody is, come from one authority, and their keys are for the owner only."""

import stat
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509.oid import NameOID
from cryptography.x509.verification import PolicyBuilder, Store

from pyairtable_devkit.cluster.pki import Authority, signing_keys


def _load(pem: bytes) -> x509.Certificate:
    return x509.load_pem_x509_certificate(pem)


def test_a_client_is_a_user_in_groups() -> None:
    subject = _load(Authority("a").issue_client("ada@acme.example", ["one", "two"]).certificate).subject
    assert [name.value for name in subject.get_attributes_for_oid(NameOID.COMMON_NAME)] == ["ada@acme.example"]
    assert [name.value for name in subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)] == ["one", "two"]


def test_a_server_is_trusted_under_its_names_by_a_strict_verifier() -> None:
    authority = Authority("a")
    pair = authority.issue_server("server", ["127.0.0.1", "localhost"])
    verifier = PolicyBuilder().store(Store([_load(authority.pair.certificate)]))
    chain = verifier.build_server_verifier(x509.DNSName("localhost")).verify(_load(pair.certificate), [])
    assert len(chain) == 2
    names = _load(pair.certificate).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert [str(address) for address in names.get_values_for_type(x509.IPAddress)] == ["127.0.0.1"]


def test_a_client_certificate_serves_no_server() -> None:
    usage = _load(Authority("a").issue_client("x").certificate).extensions.get_extension_for_class(
        x509.ExtendedKeyUsage
    )
    assert [purpose.dotted_string for purpose in usage.value] == ["1.3.6.1.5.5.7.3.2"]


def test_keys_belong_to_their_certificates_and_to_the_owner_only(tmp_path: Path) -> None:
    pair = Authority("a").issue_client("x")
    certificate, key = pair.write(tmp_path, "x")
    private = load_pem_private_key(key.read_bytes(), None)
    assert private.public_key() == _load(certificate.read_bytes()).public_key()
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert "PRIVATE" not in repr(pair)


def test_signing_keys_are_a_pair() -> None:
    private, public = signing_keys()
    assert b"BEGIN PRIVATE KEY" in private
    assert b"BEGIN PUBLIC KEY" in public
    assert signing_keys()[0] != private
