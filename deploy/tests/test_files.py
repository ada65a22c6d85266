"""The files that are shipped, by the programs that read them, or linters where no such program runs here."""

import re
import secrets
import shutil
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml
from cluster import DEPLOY
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from parts import ROOT

TOOLS = Path(sys.executable).parent  # hadolint, shellcheck and check-jsonschema are Python packages


def run(*command, **options):
    done = subprocess.run(command, capture_output=True, text=True, check=False, **options)
    return done.returncode, done.stdout + done.stderr


def make_certificate(folder):
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "api.example.com")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now)
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    folder.mkdir(parents=True)
    pem = serialization.Encoding.PEM
    (folder / "fullchain.pem").write_bytes(certificate.public_bytes(pem))
    (folder / "privkey.pem").write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )


@pytest.mark.parametrize("site", ["site", "site-compose"])
def test_nginx_takes_its_configuration(site, tmp_path):
    shutil.copy(DEPLOY / "nginx/nginx.conf", tmp_path)
    shutil.copytree(DEPLOY / "nginx" / site, tmp_path / "site")
    make_certificate(tmp_path / "certificates")
    # What is not on this machine: folders, users and names of the place it is for.
    for file in (tmp_path / "site").iterdir():
        text = file.read_text().replace("/etc/letsencrypt/live/api.example.com", "certificates")
        text = text.replace("/var/log/todolist", str(tmp_path)).replace("user nginx;", "")
        # nginx from 1.27.3 on, which the image has, looks names up again.
        text = re.sub(r"server server\d:8000 resolve", "server 127.0.0.1:8000", text)
        file.write_text(re.sub(r"^resolver .*", "", text, flags=re.MULTILINE))
    path = "/usr/sbin:/usr/bin"
    code, said = run(
        *("nginx", "-t", "-q", "-p", tmp_path, "-c", tmp_path / "nginx.conf", "-e", "stderr"),
        *("-g", f"pid {tmp_path}/nginx.pid;"),
        env={"PATH": path},
    )
    assert code == 0, said


@pytest.mark.parametrize("unit", sorted((DEPLOY / "systemd").iterdir()), ids=lambda file: file.name)
def test_systemd_takes_its_units(unit, tmp_path):
    verify = shutil.which("systemd-analyze")
    if verify is None:
        pytest.fail("systemd-analyze is missing (Debian: apt-get install systemd).")
    for file in (DEPLOY / "systemd").iterdir():
        # The programs are not at their places here.
        text = re.sub(r"/srv/todolist/\S+(python|backup\.sh)", "/bin/true", file.read_text())
        (tmp_path / file.name).write_text(text)
    name = unit.name.replace("@", "@8001")
    if name != unit.name:
        shutil.copy(tmp_path / unit.name, tmp_path / name)
    code, said = run(verify, "verify", "--man=no", tmp_path / name)
    assert (code, said) == (0, "")


def test_the_image_is_made_as_linters_want_it():
    code, said = run(TOOLS / "hadolint", DEPLOY / "Dockerfile")
    assert code == 0, said


def test_compose_takes_its_file():
    code, said = run(
        *(TOOLS / "check-jsonschema", "--builtin-schema", "vendor.compose-spec"),
        DEPLOY / "compose.yaml",
    )
    assert code == 0, said


def test_scripts_are_as_a_linter_wants_them():
    code, said = run(TOOLS / "shellcheck", *DEPLOY.glob("**/*.sh"))
    assert code == 0, said


def test_logrotate_takes_its_file(tmp_path):
    (tmp_path / "logrotate.conf").write_text((DEPLOY / "logrotate.conf").read_text())
    logrotate = shutil.which("logrotate", path="/usr/sbin:/usr/bin")
    if logrotate is None:
        pytest.fail("logrotate is missing (Debian: apt-get install logrotate).")
    code, said = run(
        logrotate, "--debug", "--state", tmp_path / "state", tmp_path / "logrotate.conf"
    )
    assert code == 0
    assert "error" not in said


def test_what_the_image_holds_is_enough(tmp_path):
    """What the Dockerfile copies, without tests, passes the checks and starts."""
    for name in ("manage.py", "accounts", "tasks", "todolist"):
        source = ROOT / name
        if source.is_dir():
            ignored = shutil.ignore_patterns("tests", "__pycache__")
            shutil.copytree(source, tmp_path / name, ignore=ignored)
        else:
            shutil.copy(source, tmp_path)
    copied = re.findall(r"^COPY (?!--)(\S+)", (DEPLOY / "Dockerfile").read_text(), re.MULTILINE)
    assert set(copied) == {"requirements.txt", "manage.py", "accounts", "tasks", "todolist"}
    code, said = run(
        *(sys.executable, "manage.py", "check"),
        cwd=tmp_path,
        env={
            "SECRET_KEY": secrets.token_urlsafe(50),
            "BETTER_AUTH_SECRET": secrets.token_urlsafe(50),
            "ALLOWED_HOSTS": "api.example.com",
        },
    )
    assert code == 0, said


def test_kubernetes_takes_its_file():
    code, said = run(TOOLS / "kubernetes-validate", "--strict", DEPLOY / "kubernetes.yaml")
    assert code == 0, said


def test_every_environment_variable_of_compose_is_known():
    """Names in compose.yaml are those of .env.example; a typing error would be ignored."""
    known = set(
        re.findall(r"^(?:# )?([A-Z_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE)
    )
    services = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]
    for name in ("server1", "server2", "reminders", "migrate"):
        assert set(services[name]["environment"]) - known == {"FORWARDED_ALLOW_IPS"}
        assert "owner" not in services[name]["environment"]["DATABASE_URL"] or name == "migrate"


def test_kubernetes_probes_ask_what_they_should():
    """A database that is away takes servers out of service and restarts none of them."""
    documents = list(yaml.safe_load_all((DEPLOY / "kubernetes.yaml").read_text()))
    [server] = [
        each
        for each in documents
        if each["metadata"]["name"] == "todolist" and each["kind"] == "Deployment"
    ]
    [container] = server["spec"]["template"]["spec"]["containers"]
    paths = {
        probe: container[f"{probe}Probe"]["httpGet"]["path"]
        for probe in ("startup", "liveness", "readiness")
    }
    assert paths == {
        "startup": "/health/live",
        "liveness": "/health/live",
        "readiness": "/health/ready",
    }
