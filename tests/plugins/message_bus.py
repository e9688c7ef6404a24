"""The bus of ODIM plugins: librdkafka's mock broker, which speaks Kafka over TCP."""

import base64
import json

from confluent_kafka import Producer

TOPIC = "TASK-EVENTS-TOPIC"
INSTANCE = "10.42.0.17"
"""The address of the plugin's instance that publishes."""


class Bus:
    """A broker, and the plugins that publish to it."""

    def __init__(self) -> None:
        self._producer = Producer(
            {"test.mock.num.brokers": 1, "bootstrap.servers": "mock", "log_level": 3}
        )
        (broker,) = self._producer.list_topics(timeout=10).brokers.values()
        self.address = f"{broker.host}:{broker.port}"

    def publish(self, *values: bytes, at: int = 0) -> None:
        """Publish values in their order, to one partition."""
        for value in values:
            self._producer.produce(TOPIC, value, partition=0, timestamp=at)
        assert self._producer.flush(10) == 0


def envelope(*tasks: str, ip: str = INSTANCE) -> bytes:
    """Return what a plugin publishes of some tasks."""
    records = [
        {
            "MessageId": "TaskEvent.1.0.3.TaskCompletedOK",
            "MessageArgs": [task, "{}", "200"],
        }
        for task in tasks
    ]
    request = base64.b64encode(json.dumps({"Events": records}).encode()).decode()
    return json.dumps({"ip": ip, "request": request, "eventType": ""}).encode()
