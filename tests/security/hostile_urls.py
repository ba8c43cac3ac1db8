"""URLs that are none, or lead where nothing may be fetched."""

from __future__ import annotations

from service.sources.url import LONGEST

MALFORMED = [
    "", " ", "/", "example.org", "//example.org/", "http:", "http:/", "http://", "http:///a",
    "http:example.org", "http:/example.org", "http://?a", "http://#a", "http://:80/",
    "ftp://example.org/", "file:///etc/passwd", "file://localhost/etc/passwd",
    "gopher://example.org/", "data:video/mp4;base64,AAAA", "javascript:alert(1)",
    "rtmp://example.org/", "concat:a|b", "hls+http://example.org/", "crypto:http://example.org",
    "view-source:http://example.org", "unix:///run/docker.sock",
    "http+unix://%2Frun%2Fdocker.sock/", "http\u017f://example.org/", "http://user@example.org/",
    "http://user:password@example.org/", "http://@example.org/", "http://example.org@127.0.0.1/",
    "http://127.0.0.1@example.org/", "http://a:b@c@example.org/",
    "http://example.org\\@127.0.0.1/", "http://example.org\\/", "http:\\\\example.org/",
    "http://example.org/\\a", "http://example.org\t/", "http://exa\nmple.org/",
    "http://example.org/\r\nHost: a", "http://example.org/ a", " http://example.org/",
    "http://example.org/\x00", "http://example.org/\x7f", "http://example\u3002org/",
    "http://127\u30020\u30020\u30021/", "http://\uff11\uff12\uff17.0.0.1/",
    "http://\u24d4xample.org/", "http://b\xfccher.example/", "http://example.org:/a:b@",
    "http://example.org:65536 /", "http://example.org:+80/", "http://example.org:8_0/",
    "http://example.org:80:80/", "http://example.org:0x50/", "http://example.org:\u0668\u0660/",
    "http://exa%6dple.org/", "http://127.0.0.1%2f@example.org/", "http://[::1", "http://::1/",
    "http://[::1]a/", "http://[fe80::1%25eth0]/", "http://[fe80::1%eth0]/", "http://[v1.a]/",
    "http://[127.0.0.1]/", "http://[]/", "http://[::ffff:127.0.0.1.]/", "http://example..org/",
    "http://.example.org/", "http://./", "http://../", "http://-example.org/",
    "http://example-.org/", "http://" + "a" * 64 + ".org/",
    "http://" + ".".join(["a" * 60] * 5) + "/", "http://example.org/" + "a" * LONGEST,
    "http://\ud800.org/", "http://example.org/\ud800",
]  # fmt: skip

NUMBERS = [
    "http://2130706433/", "http://0x7f000001/", "http://017700000001/", "http://0x7f.1/",
    "http://127.1/", "http://0177.0.0.1/", "http://127.0.0.01/", "http://0x7f.0x0.0x0.0x1/",
    "http://127.0.0.1.1/", "http://256.0.0.1/", "http://1.2.3.4.5/", "http://0/", "http://0x/",
    "http://a.0x7f/", "http://example.1/", "http://4294967296/", "http://127.0.0.1..1/",
    "http://00000000000000000000000127.0.0.1/",
]  # fmt: skip

PRIVATE = [
    "0.0.0.0", "0.1.2.3", "10.0.0.1", "100.64.0.1", "100.100.100.200", "127.0.0.1",
    "127.255.255.254", "168.63.129.16", "169.254.169.254", "169.254.170.2", "172.16.0.1",
    "172.31.255.255", "192.0.0.1", "192.0.0.192", "192.0.2.1", "192.88.99.1", "192.168.1.1",
    "198.18.0.1", "198.19.255.255", "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.255.255.255",
    "240.0.0.1", "255.255.255.255", "::", "::1", "::127.0.0.1", "::8.8.8.8", "::ffff:127.0.0.1",
    "::ffff:8.8.8.8", "::ffff:0:127.0.0.1", "64:ff9b::127.0.0.1", "64:ff9b::8.8.8.8",
    "64:ff9b:1::a00:1", "100::1", "2001::1", "2001:0:4136:e378::1", "2001:2::1", "2001:10::1",
    "2001:20::1", "2001:db8::1", "2002:7f00:1::", "2002:808:808::1", "3fff::1", "5f00::1",
    "2606:4700::5efe:10.0.0.1", "2606:4700::200:5efe:a00:1", "fc00::1", "fd00:ec2::254",
    "fe80::1", "fe80::1%1", "fec0::1", "ff02::1",
]  # fmt: skip
"""Addresses."""
