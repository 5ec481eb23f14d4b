//! One message, published and consumed with a connection string that Keylender lent: `roundtrip CONNECTION_STRING NAMESPACE`.
//!
//! Everything is declared inside the namespace, auto-deleted, and gone when the connection closes. The last step
//! asks for a queue outside the namespace, which the broker must refuse. `scripts/demo` runs this.

use std::{error::Error, process::ExitCode, time::Duration};

use futures_util::StreamExt;
use lapin::{
    BasicProperties, Channel, Confirmation, Connection, ConnectionProperties, ErrorKind, ExchangeKind,
    options::{
        BasicAckOptions, BasicConsumeOptions, BasicPublishOptions, ConfirmSelectOptions, ExchangeDeclareOptions,
        QueueBindOptions, QueueDeclareOptions,
    },
    protocol::{AMQPErrorKind, AMQPSoftError},
    types::FieldTable,
};

/// How long the whole round trip may take: a broker that is up needs well under a second.
const ROUND_TRIP_MAX: Duration = Duration::from_secs(30);
const ROUTING_KEY: &str = "greeting";
const MESSAGE: &[u8] = b"hello from a lent account";

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [connection_string, namespace] = arguments.as_slice() else {
        eprintln!("usage: roundtrip CONNECTION_STRING NAMESPACE");
        return ExitCode::from(2);
    };
    let outcome = tokio::time::timeout(ROUND_TRIP_MAX, round_trip(connection_string, namespace)).await;
    match outcome.unwrap_or_else(|_| Err("no answer from the broker in time".into())) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("roundtrip: {e}");
            ExitCode::FAILURE
        }
    }
}

async fn round_trip(connection_string: &str, namespace: &str) -> Result<(), Box<dyn Error>> {
    let exchange = format!("exchange/{namespace}/demo");
    let queue = format!("queue/{namespace}/demo");

    let connection = Connection::connect(connection_string, ConnectionProperties::default()).await?;
    println!("connected");
    let channel = connection.create_channel().await?;
    channel.confirm_select(ConfirmSelectOptions::default()).await?;

    declare(&channel, &exchange, &queue).await?;
    println!("declared exchange {exchange} and queue {queue}, bound");

    let options = BasicPublishOptions { mandatory: true, ..Default::default() };
    let properties = BasicProperties::default();
    let confirmation = channel
        .basic_publish(exchange.as_str().into(), ROUTING_KEY.into(), options, MESSAGE, properties)
        .await?
        .await?;
    if !matches!(confirmation, Confirmation::Ack(None)) {
        return Err(format!("the broker did not route the message: {confirmation:?}").into());
    }
    println!("published \"{}\"", String::from_utf8_lossy(MESSAGE));

    let mut consumer = channel
        .basic_consume(queue.as_str().into(), "".into(), BasicConsumeOptions::default(), FieldTable::default())
        .await?;
    let delivery = consumer.next().await.ok_or("the broker closed the consumer")??;
    delivery.ack(BasicAckOptions::default()).await?;
    println!("consumed \"{}\"", String::from_utf8_lossy(&delivery.data));
    if delivery.data != MESSAGE {
        return Err("that is not the message we published".into());
    }

    // The refusal closes its channel, so it gets one of its own.
    refuse_outside(&connection.create_channel().await?, "queue/somebody-else/demo").await?;
    connection.close(200, "done".into()).await?;
    Ok(())
}

async fn declare(channel: &Channel, exchange: &str, queue: &str) -> lapin::Result<()> {
    let (topic, nothing) = (ExchangeKind::Topic, FieldTable::default());
    let options = ExchangeDeclareOptions { auto_delete: true, ..Default::default() };
    channel.exchange_declare(exchange.into(), topic, options, nothing.clone()).await?;
    let options = QueueDeclareOptions { auto_delete: true, ..Default::default() };
    channel.queue_declare(queue.into(), options, nothing.clone()).await?;
    channel.queue_bind(queue.into(), exchange.into(), ROUTING_KEY.into(), QueueBindOptions::default(), nothing).await
}

/// Succeeds only when the broker refuses `queue` for want of permission.
async fn refuse_outside(channel: &Channel, queue: &str) -> Result<(), Box<dyn Error>> {
    let options = QueueDeclareOptions { auto_delete: true, ..Default::default() };
    let Err(error) = channel.queue_declare(queue.into(), options, FieldTable::default()).await else {
        return Err(format!("the broker let us declare {queue}, which is outside of the namespace").into());
    };
    let refused = match error.kind() {
        ErrorKind::ProtocolError(e) => e.kind() == &AMQPErrorKind::Soft(AMQPSoftError::ACCESSREFUSED),
        _ => false,
    };
    if !refused {
        return Err(error.into());
    }
    println!("refused, as it must be: queue {queue} outside of the namespace");
    Ok(())
}
