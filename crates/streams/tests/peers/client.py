"""The official Python client against a server: python client.py BASE_URL AUTHORIZATION

Every step says what it saw; the first that is not as it should be ends the script.
"""

import sys
import threading

import httpx
from durable_streams import DurableStream, stream

BASE, AUTHORIZATION = sys.argv[1:]
HEADERS = {"Authorization": AUTHORIZATION}


def url(name):
    return f"{BASE}/v1/stream/py/{name}"


def create(name, content_type):
    return DurableStream.create(url(name), headers=HEADERS, content_type=content_type)


def read(name, **how):
    return stream(url(name), headers=HEADERS, **how)


def creates_appends_and_reads_back():
    sent = bytes(at % 251 for at in range(300_000))
    with create("bytes", "application/octet-stream") as handle:
        handle.append(sent[:100_001])
        handle.append(sent[100_001:])
        assert handle.head().content_type == "application/octet-stream"
    with read("bytes", live=False) as response:
        assert response.read_bytes() == sent


def goes_on_from_an_offset():
    with create("resume", "text/plain") as handle:
        handle.append("before ")
        with read("resume", live=False) as response:
            assert response.read_text() == "before "
            offset = response.offset
        handle.append("after")
    with read("resume", live=False, offset=offset) as response:
        assert response.read_text() == "after"


def tails_live(live):
    name = f"tail-{live}"
    wanted = [{"n": n, "text": f"é\r\n{n}"} for n in range(50)]
    seen = []
    with create(name, "application/json") as handle:

        def follow():
            with read(name, live=live, offset="-1") as response:
                for item in response.iter_json():
                    seen.append(item)
                    if len(seen) == len(wanted):
                        return

        reader = threading.Thread(target=follow)
        reader.start()
        for item in wanted:
            handle.append(item)
        reader.join(timeout=30)
        assert not reader.is_alive(), f"only {len(seen)} came"
    assert seen == wanted


def produces_each_message_once():
    """The released client has no producer of its own; the fields are three."""
    with create("producer", "application/json"):
        pass
    with httpx.Client(headers=HEADERS) as client:

        def append(seq, value):
            fields = {"Producer-Id": "p", "Producer-Epoch": "0", "Producer-Seq": str(seq)}
            return client.post(url("producer"), json=[value], headers=fields)

        for seq in range(20):
            assert append(seq, seq).status_code == 200
            assert append(seq, seq).status_code == 204, "sent again"
        gap = append(22, 22)
        assert gap.status_code == 409
        assert gap.headers["producer-expected-seq"] == "20"
        assert gap.headers["producer-received-seq"] == "22"
    with read("producer", live=False) as response:
        assert response.read_json() == list(range(20))


def is_told_who_may_not_come_in():
    assert httpx.get(url("bytes")).status_code == 401


def deletes():
    DurableStream.delete_static(url("bytes"), headers=HEADERS)
    assert httpx.get(url("bytes"), headers=HEADERS).status_code == 404


creates_appends_and_reads_back()
print("ok creates, appends and reads back")
goes_on_from_an_offset()
print("ok goes on from an offset")
for mode in ("long-poll", "sse"):
    tails_live(mode)
    print(f"ok tails live by {mode}")
produces_each_message_once()
print("ok produces each message once, whatever is sent twice")
is_told_who_may_not_come_in()
print("ok is told who may not come in")
deletes()
print("ok deletes")
