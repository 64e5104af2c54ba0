"""What this machine's apt says, read for a build."""

from labctl.host.image_sources import parse_proxies, parse_targets

TARGETS = """\
http://mirror.example.net/debian/ bookworm bookworm Debian main
http://mirror.example.net/debian/ bookworm bookworm Debian contrib
http://mirror.example.net/debian/ bookworm-updates bookworm-updates Debian main
http://security.example.net/debian-security/ bookworm-security bookworm-security Debian main
http://mirror.example.net/debian/ bookworm-backports bookworm-backports Debian main
https://packages.example.com/apt stable stable Example main
cdrom://disc/ bookworm bookworm Debian main
"""


def test_debians_own_sources_of_the_suite_are_taken_and_nobody_elses() -> None:
    assert parse_targets(TARGETS, "bookworm") == (
        "deb http://mirror.example.net/debian/ bookworm main",
        "deb http://mirror.example.net/debian/ bookworm-updates main",
        "deb http://security.example.net/debian-security/ bookworm-security main",
    )


def test_a_host_of_another_distribution_or_release_gives_none() -> None:
    assert parse_targets("http://archive.example.com/ubuntu/ noble noble Ubuntu main\n", "bookworm") == ()
    assert parse_targets(TARGETS.replace("bookworm ", "trixie "), "bookworm") == ()
    assert parse_targets("", "bookworm") == ()
    assert parse_targets("\n one two\n", "bookworm") == ()


def test_the_hosts_proxies_are_taken() -> None:
    dump = 'Acquire "";\nAcquire::http "";\nAcquire::http::Proxy "http://proxy.example.net:3128";\nAcquire::https::Proxy "";\nAPT::X "y";\n'
    assert parse_proxies(dump) == ('Acquire::http::Proxy "http://proxy.example.net:3128";',)
