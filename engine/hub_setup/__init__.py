"""The channel between districts and a hub: what the administrator of its RabbitMQ applies."""
