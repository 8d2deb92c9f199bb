"""Programs that change the machine: processes, services, schedules, disks, accounts, containers, password stores."""

from __future__ import annotations

import re

from chargehand.adapters.guarding.look import Call, Handler, Look, program
from chargehand.adapters.guarding.options import names, read_options

__all__ = ["SYSTEM"]

_CHANGES = names(
    "at batch launchctl shutdown reboot halt poweroff init telinit mount umount swapon swapoff losetup insmod "
    "modprobe rmmod kexec useradd usermod userdel adduser deluser groupadd groupdel groupmod passwd chpasswd chsh "
    "chfn visudo vipw iptables ip6tables nft ufw firewall-cmd setenforce update-alternatives update-rc.d "
    "chkconfig hwclock ldconfig dmsetup lvremove vgremove pvremove zfs zpool btrfs setcap exportfs swapoff "
    "logrotate tune2fs resize2fs bpftool debugfs"
)
_DISKS = names("mkfs mke2fs mkswap fdisk sfdisk gdisk sgdisk parted wipefs blkdiscard cryptsetup hdparm badblocks")
_READ_ONLY = names(
    "ps images logs inspect version info port top stats diff history search status list-units list-unit-files is- "
    "active is-enabled is-failed cat show get describe explain api-resources cluster-info config validate fmt "
    "plan output providers list ls help --version --help -l --list template lint"
)


def _system(call: Call, look: Look) -> None:
    if program(call.argv[0]) == "mount" and not call.args:
        return
    if call.args[:1] not in (("--help",), ("--version",)):
        look.report("system", call)


def _disk(call: Call, look: Look) -> None:
    if not set(call.args) & {"-l", "--list", "--help", "--version"}:
        look.report("disk", call)


def _service(call: Call, look: Look) -> None:
    words = [word for word in call.args if not word.startswith("-")]
    if words and not set(words) & _READ_ONLY:
        look.report("system", call)


def _crontab(call: Call, look: Look) -> None:
    if not read_options(call.args, short="u").has("-l"):
        look.report("system", call)


def _sysctl(call: Call, look: Look) -> None:
    if any("=" in word for word in call.args) or read_options(call.args).has("-w", "-p", "--system", "--load"):
        look.report("system", call)


def _kill(call: Call, look: Look) -> None:
    words = list(call.args)
    if words[:1] in (["-l"], ["-L"], ["-0"]) or words[:2] == ["-s", "0"]:
        return
    if words and words[0] in {"-s", "-n"}:
        words = words[2:]
    elif words and re.fullmatch(r"-(?:\d+|[A-Z]+[0-9]*)", words[0]) and words[1:]:
        words = words[1:]
    if any(not word.startswith("%") for word in words if word != "--"):
        look.report("kill", call, inside=look.place.sandboxed)


def _kill_by_name(call: Call, look: Look) -> None:
    if not set(call.args) & {"-0", "-l", "--list"}:
        look.report("kill", call, inside=look.place.sandboxed)


def _fuser(call: Call, look: Look) -> None:
    if read_options(call.args, short="n").has("-k", "--kill"):
        look.report("kill", call, inside=look.place.sandboxed)


def _container(call: Call, look: Look) -> None:
    options = read_options(call.args, short="Hcfnl", long=("--host", "--context", "--file", "--namespace"), stop=True)
    words = list(options.rest)
    if words[:1] and words[0] in {"compose", "container", "image", "volume", "network", "system"}:
        words = [word for word in words[1:] if not word.startswith("-")] or ["ps"]
    if words and words[0] not in _READ_ONLY:
        look.report("container", call)


def _store(call: Call, look: Look) -> None:
    look.report("secret_file", call, why="It reads a password store.")


def _gpg(call: Call, look: Look) -> None:
    options = read_options(call.args, short="orukb", long=("--output", "--recipient", "--homedir"))
    if options.has("--export-secret-keys", "--export-secret-subkeys", "-d", "--decrypt"):
        look.report("secret_file", call)


def _keychain(call: Call, look: Look) -> None:
    if any(word.startswith(("find-", "dump-", "export")) for word in call.args):
        look.report("secret_file", call)


def _clipboard(call: Call, look: Look) -> None:
    look.report("secret_file", call, why="It reads the clipboard.")


def _process_list(call: Call, look: Look) -> None:
    """`ps eww` shows the environment of every process; `ps -e` only lists them."""
    if any("e" in word for word in call.args if re.fullmatch(r"[a-zA-Z]+", word)):
        look.report("environment", call, inside=True)


def _clock(call: Call, look: Look) -> None:
    options = read_options(call.args, short="dsrfI", long=("--date", "--set", "--reference", "--file"))
    if options.has("-s", "--set") or any(not word.startswith("+") for word in options.rest):
        look.report("system", call)


def _hostname(call: Call, look: Look) -> None:
    options = read_options(call.args, short="F", long=("--file",))
    if options.rest or options.has("-F", "--file", "-b", "--boot"):
        look.report("system", call)


SYSTEM: dict[str, Handler] = {
    **dict.fromkeys(_CHANGES, _system),
    **dict.fromkeys(_DISKS, _disk),
    **dict.fromkeys(
        ("systemctl", "service", "rc-service", "loginctl", "hostnamectl", "timedatectl", "machinectl"), _service
    ),
    "crontab": _crontab,
    "sysctl": _sysctl,
    "kill": _kill,
    **dict.fromkeys(("pkill", "killall", "killall5", "skill", "xkill"), _kill_by_name),
    "fuser": _fuser,
    **dict.fromkeys(
        ("docker", "podman", "nerdctl", "kubectl", "oc", "terraform", "tofu", "pulumi", "docker-compose"), _container
    ),
    **dict.fromkeys(
        ("ansible", "ansible-playbook", "vagrant", "lxc", "virsh", "crictl", "ctr", "buildah", "skopeo"), _container
    ),
    **dict.fromkeys(
        (
            "pass",
            "gopass",
            "op",
            "bw",
            "lpass",
            "secret-tool",
            "vault",
            "doppler",
            "keyring",
            "chamber",
            "keepassxc-cli",
        ),
        _store,
    ),
    **dict.fromkeys(("gpg", "gpg2"), _gpg),
    "security": _keychain,
    **dict.fromkeys(("pbpaste", "xclip", "xsel", "wl-paste"), _clipboard),
    "ps": _process_list,
    "date": _clock,
    **dict.fromkeys(("hostname", "domainname", "nisdomainname"), _hostname),
}
