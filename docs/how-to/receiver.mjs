// The smallest receiver that an agency needs, in Node 20, without any package:
//   node receiver.mjs connected.json https://dabyl.example 8080
import { createHash, createHmac, createPrivateKey, createPublicKey, sign, timingSafeEqual, verify } from "node:crypto";
import { fsyncSync, openSync, readFileSync, writeSync } from "node:fs";
import { createServer } from "node:http";
const [file, gateway, port] = process.argv.slice(2);
const { client_id, client_secret, ...mine } = JSON.parse(readFileSync(file, "utf8"));
const raw = (key, prefix) => Buffer.from((key ?? "").replace(prefix, ""), "base64"); // empty: not our scheme
const [secret, x] = [raw(mine.webhook_secret, "whsec_"), raw(mine.webhook_public_key, "whpk_")];
const okp = (more) => ({ key: { kty: "OKP", crv: "Ed25519", ...more }, format: "jwk" });
const dabyl = x.length ? createPublicKey(okp({ x: x.toString("base64url") })) : null;
const receiptKey = createPrivateKey(okp(mine.receipt_key));
const journal = openSync(`${file}.journal`, "a+", 0o600); // a real receiver uses its database
const lines = readFileSync(journal, "utf8").split("\n").slice(0, -1);
const known = new Map(lines.map((line) => line.split(" "))); // id -> body in base64, then "done"
const store = (id, what) => [writeSync(journal, `${id} ${what}\n`), fsyncSync(journal), known.set(id, what)];
function isOurs({ "webhook-id": id, "webhook-timestamp": stamp, "webhook-signature": given = "" }, body) {
  if (!id || !(Math.abs(Date.now() / 1000 - Number(stamp)) < 300)) return false;
  const signed = Buffer.concat([Buffer.from(`${id}.${stamp}.`), body]);
  const hmac = createHmac("sha256", secret).update(signed).digest();
  return given.split(" ").some((one) => { // while a key is replaced there are two; one that fits is enough
    const [version, bytes] = [one.split(",")[0], Buffer.from(one.split(",")[1] ?? "", "base64")];
    if (version === "v1") return secret.length > 0 && bytes.length === 32 && timingSafeEqual(bytes, hmac);
    return version === "v1a" && dabyl !== null && verify(null, signed, dabyl, bytes);
  });
}
async function call(url, options) { // again while Dabyl is away: a lost receipt makes people phone
  for (const pause of [1, 2, 5, 15, 60, 300]) {
    const reply = await fetch(url, options).catch(() => null);
    if (reply?.ok) return reply.json();
    await new Promise((done) => setTimeout(done, pause * 1000));
  }
}
async function answer(id, body, notice = JSON.parse(body)) {
  if (notice.test) return;
  const form = new URLSearchParams({ grant_type: "client_credentials", client_id, client_secret });
  const { access_token } = await call(`${gateway}/oauth/token`, { method: "POST", body: form });
  const headers = { authorization: `Bearer ${access_token}` };
  await call(notice.content.url, { headers: { ...headers, "dabyl-grant": notice.content.grant } }); // to a person!
  const notice_digest = createHash("sha256").update(body).digest("hex"); // of the bytes as they came
  const person = { name: "Name of who took it", position: "Duty officer" };
  const receipt = { delivery: notice.delivery, notice_digest, status: "received", person, at: new Date() };
  const text = [{ alg: "Ed25519" }, receipt].map((o) => Buffer.from(JSON.stringify(o)).toString("base64url")).join(".");
  const jws = `${text}.${sign(null, Buffer.from(text), receiptKey).toString("base64url")}`;
  await call(notice.receipt.url, { method: "POST", body: jws, headers: { ...headers, "content-type": "application/jose" } });
  store(id, "done");
}
const work = (id, body) => answer(id, body).catch((error) => console.error("not answered yet", id, error.message));
for (const [id, what] of known) if (what !== "done") work(id, Buffer.from(what, "base64")); // after a crash
createServer(async (request, response, body = Buffer.alloc(0)) => {
  const [id, say] = [request.headers["webhook-id"], (status) => response.writeHead(status).end()];
  for await (const part of request) {
    body = Buffer.concat([body, part]);
    if (body.length > 16_384) return say(413); // a notice has 4 kB at most
  }
  if (!isOurs(request.headers, body)) return say(401);
  try { JSON.parse(body); } catch { return say(400); }
  if (!known.has(id)) { store(id, body.toString("base64")); work(id, body); } // stored first, answered then
  say(200);
}).listen(Number(port), "127.0.0.1");
