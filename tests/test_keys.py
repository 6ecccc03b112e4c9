"""Secret keys: a file for each purpose, whole or not there, and its owner's alone."""

import errno
import os
import stat
import threading

import pytest

from hiddenpop.errors import TableError
from hiddenpop.keys import KEY_VARIABLE, STEPS_VARIABLE, create_key, read_key, secret_key, steps_key


def test_the_key_is_made_once_and_only_its_owner_can_read_it(tmp_path, monkeypatch):
    path = tmp_path / "folder" / "key"
    monkeypatch.setenv(KEY_VARIABLE, str(path))
    key = secret_key()
    assert len(key) == 32
    assert path.read_bytes() == key == secret_key()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(path.parent.iterdir()) == [path]


def test_two_keys_differ(tmp_path, monkeypatch):
    monkeypatch.setenv(KEY_VARIABLE, str(tmp_path / "one"))
    first = secret_key()
    monkeypatch.setenv(KEY_VARIABLE, str(tmp_path / "two"))
    assert secret_key() != first


def test_without_the_variable_the_key_is_in_the_configuration_folder(tmp_path, monkeypatch):
    monkeypatch.delenv(KEY_VARIABLE, raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert (tmp_path / "hiddenpop" / "key").exists() is False
    key = secret_key()
    assert (tmp_path / "hiddenpop" / "key").read_bytes() == key


def test_without_any_variable_the_key_is_under_home(tmp_path, monkeypatch):
    monkeypatch.delenv(KEY_VARIABLE, raising=False)
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    key = secret_key()
    assert (tmp_path / ".config" / "hiddenpop" / "key").read_bytes() == key


def test_of_two_processes_that_start_together_the_first_key_wins(tmp_path, monkeypatch):
    path = tmp_path / "key"
    monkeypatch.setenv(KEY_VARIABLE, str(path))
    link = os.link

    def late(source, target):
        path.touch(0o600)
        path.write_bytes(b"k" * 32)
        link(source, target)

    monkeypatch.setattr(os, "link", late)
    assert secret_key() == b"k" * 32
    assert list(tmp_path.iterdir()) == [path]


def test_a_key_that_cannot_be_made_names_the_variable(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv(KEY_VARIABLE, str(tmp_path / "file" / "key"))
    with pytest.raises(TableError, match=f"cannot be read or created .*set {KEY_VARIABLE}"):
        secret_key()


def test_a_key_that_is_too_short_is_refused(tmp_path, monkeypatch):
    (tmp_path / "key").touch(0o600)
    (tmp_path / "key").write_bytes(b"short")
    monkeypatch.setenv(KEY_VARIABLE, str(tmp_path / "key"))
    with pytest.raises(TableError, match=r"holds 5 bytes, fewer than the 32"):
        secret_key()


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o622, 0o601])
@pytest.mark.parametrize(("variable", "read"), [(KEY_VARIABLE, secret_key), (STEPS_VARIABLE, steps_key)])
def test_a_key_that_others_can_use_is_refused(variable, read, mode, tmp_path, monkeypatch):
    path = tmp_path / "key"
    monkeypatch.setenv(variable, str(path))
    key = read()
    path.chmod(mode)
    with pytest.raises(TableError, match=rf"can be used by others; run: chmod 600 {path}"):
        read()
    path.chmod(0o400)
    assert read() == key


@pytest.mark.parametrize("code", [errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS])
def test_a_file_system_without_hard_links_holds_a_key(code, tmp_path, monkeypatch):
    def none(source, target):
        raise OSError(code, os.strerror(code))

    path = tmp_path / "key"
    monkeypatch.setattr(os, "link", none)
    monkeypatch.setenv(KEY_VARIABLE, str(path))
    found = []
    together = [threading.Thread(target=lambda: found.append(secret_key())) for _ in range(8)]
    for thread in together:
        thread.start()
    for thread in together:
        thread.join()
    assert found == [path.read_bytes()] * 8
    assert len(found[0]) == 32
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with pytest.raises(TableError, match="never overwritten"):
        create_key(path)
    assert list(tmp_path.iterdir()) == [path]


def test_a_write_that_breaks_off_without_hard_links_leaves_no_key(tmp_path, monkeypatch):
    def none(source, target):
        monkeypatch.setattr("hiddenpop.keys.secrets.token_bytes", full)
        raise OSError(errno.EPERM, "Operation not permitted")

    def full(size):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "link", none)
    with pytest.raises(TableError, match=r"cannot write the key file .*No space left"):
        create_key(tmp_path / "key")
    assert list(tmp_path.iterdir()) == []


def test_the_key_that_is_shared_signs_no_steps_and_makes_no_pseudonyms(tmp_path, monkeypatch):
    monkeypatch.setenv(KEY_VARIABLE, str(tmp_path / "shared"))
    monkeypatch.setenv(STEPS_VARIABLE, str(tmp_path / "steps"))
    shared, steps = secret_key(), steps_key()
    assert shared != steps
    with pytest.raises(
        TableError, match=r"holds the key of fingerprints, which is shared .*make another: hiddenpop"
    ):
        read_key(tmp_path / "shared")
    copy = create_key(tmp_path / "copy")
    copy.write_bytes(shared)
    with pytest.raises(TableError, match="holds the key of fingerprints, which is shared"):
        read_key(copy)
    monkeypatch.setenv(STEPS_VARIABLE, str(copy))
    with pytest.raises(
        TableError, match=f"holds the key of fingerprints.*set {STEPS_VARIABLE} to another file"
    ):
        steps_key()


def test_the_key_of_steps_lies_beside_the_other_in_a_file_of_its_own(tmp_path, monkeypatch):
    for variable in (KEY_VARIABLE, STEPS_VARIABLE):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert secret_key() != steps_key()
    assert {path.name for path in (tmp_path / "hiddenpop").iterdir()} == {"key", "steps.key"}
