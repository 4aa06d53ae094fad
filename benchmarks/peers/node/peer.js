// The job on Node without a framework: `node peer.js api PORT` and `node peer.js worker`.
const { createHmac, randomUUID } = require("node:crypto");
const http = require("node:http");
const amqp = require("amqplib");
const { Pool: Database } = require("pg");
const { Agent, request } = require("undici");

const { SINK, DATABASE_URL, AMQP_URL } = process.env;
const KEY = Buffer.from("k".repeat(32));
const AGENCIES = 8;
const QUEUE = "peer.node";
const database = new Database({ connectionString: DATABASE_URL, max: 16 });

function valid(alert) {
  return typeof alert.territory === "string" && Array.isArray(alert.concerns) && alert.concerns.length > 0
    && typeof alert.narrative === "string" && (alert.child === undefined || typeof alert.child === "object");
}

async function api(port) {
  const connection = await amqp.connect(AMQP_URL);
  const channel = await connection.createConfirmChannel();
  await channel.assertQueue(QUEUE, { durable: true, arguments: { "x-queue-type": "quorum" } });
  const publish = (message) => new Promise((done, failed) =>
    channel.sendToQueue(QUEUE, Buffer.from(JSON.stringify(message)), { persistent: true },
      (error) => (error ? failed(error) : done())));
  http.createServer((asked, answer) => {
    const parts = [];
    asked.on("data", (part) => parts.push(part));
    asked.on("end", async () => {
      try {
        const alert = JSON.parse(Buffer.concat(parts).toString());
        if (!valid(alert)) { answer.writeHead(422).end(); return; }
        const id = randomUUID();
        await database.query({ name: "add", text: "INSERT INTO alerts (id, body) VALUES ($1, $2)", values: [id, alert] });
        await Promise.all(Array.from({ length: AGENCIES }, (_, agency) =>
          publish({ id: `${id}.${agency}`, alert: id, agency })));
        const body = JSON.stringify({ id });
        answer.writeHead(201, { "content-type": "application/json", "content-length": body.length }).end(body);
      } catch { answer.writeHead(500).end(); }
    });
  }).listen(port, "127.0.0.1");
}

async function worker() {
  const agent = new Agent({ connections: 32, pipelining: 1 });
  const connection = await amqp.connect(AMQP_URL);
  const channel = await connection.createChannel();
  await channel.assertQueue(QUEUE, { durable: true, arguments: { "x-queue-type": "quorum" } });
  await channel.prefetch(128);
  await channel.consume(QUEUE, async (message) => {
    const job = JSON.parse(message.content.toString());
    const body = JSON.stringify({ delivery: job.id, alert: job.alert, text: "x".repeat(1000) });
    const stamp = Math.floor(Date.now() / 1000).toString();
    const signature = createHmac("sha256", KEY).update(`${job.id}.${stamp}.${body}`).digest("base64");
    let status = 0;
    try {
      const answer = await request(`${SINK}/${job.agency}`, {
        method: "POST", body, dispatcher: agent, headersTimeout: 10000, bodyTimeout: 10000,
        headers: { "content-type": "application/json", "webhook-id": job.id, "webhook-timestamp": stamp,
          "webhook-signature": `v1,${signature}` },
      });
      status = answer.statusCode;
      await answer.body.dump();
    } catch { status = 0; }
    const taken = status >= 200 && status < 300;
    await database.query({
      name: "attempt", values: [job.id, job.alert, status, taken],
      text: "INSERT INTO attempts (delivery_id, alert_id, status, taken) VALUES ($1, $2, $3, $4)",
    });
    if (taken) channel.ack(message);
    else setTimeout(() => channel.nack(message, false, true), 1000);
  });
}

process.argv[2] === "api" ? api(Number(process.argv[3])) : worker();
