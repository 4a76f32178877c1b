"""Reads the bank's streams from RabbitMQ as a service in Python does: pika and the CloudEvents SDK.

usage: rabbitmq.py URL EXCHANGE          binds a durable queue for each stream version, and ends
       rabbitmq.py URL EXCHANGE read     reads them until nothing comes any more, and says what came
"""

import json
import sys

import pika
from cloudevents.core.formats.json import JSONFormat

STREAMS = ["accounts.v1", "accounts.v2"]


def bind(channel, exchange):
    # The exchange is the bank's; whoever comes first makes it.
    channel.exchange_declare(exchange, "topic", durable=True)
    for stream in STREAMS:
        channel.queue_declare(f"python.{stream}", durable=True)
        channel.queue_bind(f"python.{stream}", exchange, f"{stream}.#")


def read(channel, stream):
    """The state of a reader: where it is, and what it saw."""
    position, doubles, types = 0, 0, {}
    reading = channel.consume(f"python.{stream}", inactivity_timeout=3)
    for method, properties, body in reading:
        if method is None:
            break
        event = JSONFormat().read(None, body)
        sequence = int(event.get_extension("sequence"))
        assert properties.content_type == "application/cloudevents+json"
        assert properties.message_id == event.get_id() == f"{stream}-{sequence}"
        assert properties.headers["cloudEvents_type"] == event.get_type()
        kind = event.get_type().split(".")[-2]
        assert method.routing_key == f"{stream}.{kind}"
        assert event.get_subject() and event.get_source() and event.get_time()
        assert isinstance(event.get_data(), dict)
        assert sequence <= position + 1, f"after {position} came {sequence}"
        if sequence == position + 1:
            position = sequence
            types[kind] = types.get(kind, 0) + 1
            last_hash = event.get_extension("streamhash")
        else:
            doubles += 1
        channel.basic_ack(method.delivery_tag)
    channel.cancel()
    return {"head": position, "doubles": doubles, "types": types, "hash": last_hash}


def main(url, exchange, what="bind"):
    connection = pika.BlockingConnection(pika.URLParameters(url))
    channel = connection.channel()
    if what == "read":
        print(json.dumps({stream: read(channel, stream) for stream in STREAMS}))
    else:
        bind(channel, exchange)
    connection.close()


main(*sys.argv[1:])
