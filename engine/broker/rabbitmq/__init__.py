"""The adapter to RabbitMQ, by pika."""
