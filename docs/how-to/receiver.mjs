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
const form = new URLSearchParams({ grant_type: "client_credentials", client_id, client_secret });
const pauses = (process.env.PAUSES ?? "1,2,5,15,60,300").split(","); // seconds; the last one again and again
const journal = openSync(`${file}.journal`, "a+", 0o600); // a real receiver uses its database
const known = new Map(readFileSync(journal, "utf8").split("\n").slice(0, -1).map((line) => line.split(" "))); // id -> body
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
const ask = (url, options) => fetch(url, { ...options, signal: AbortSignal.timeout(30_000) });
const rest = (n) => new Promise((done) => setTimeout(done, pauses[Math.min(n, pauses.length - 1)] * 1000));
async function call(url, options) { // until it is taken, every few minutes at last: a lost receipt makes people phone
  for (let n = 0; ; await rest(n), n += 1) try {
    const { access_token } = await (await ask(`${gateway}/oauth/token`, { method: "POST", body: form })).json();
    const reply = await ask(url, { ...options, headers: { ...options.headers, authorization: `Bearer ${access_token}` } });
    if (reply.ok || reply.status === 409) return reply.ok ? await reply.json() : null; // 409: another answer stands
    console.error("not taken yet:", reply.status);
  } catch (error) { console.error("not taken yet:", error.name); }
}
async function answer(id, body, notice = JSON.parse(body)) {
  const options = { headers: { "dabyl-grant": notice.content.grant } };
  const bare = notice.test || notice.silent || notice.breached; // a test, or about a body below: no content
  if (!bare && !(await call(notice.content.url, options))) return; // else, unless it is a test: to a person!
  const notice_digest = createHash("sha256").update(body).digest("hex"); // of the bytes as they came
  const person = notice.test ? { name: "test", position: "system" } : { name: "Name of who took it", position: "Duty officer" };
  const receipt = { delivery: notice.delivery, notice_digest, status: "received", person, at: new Date() };
  const text = [{ alg: "Ed25519" }, receipt].map((o) => Buffer.from(JSON.stringify(o)).toString("base64url")).join(".");
  const jws = `${text}.${sign(null, Buffer.from(text), receiptKey).toString("base64url")}`;
  const headers = { "content-type": "application/jose" };
  if (await call(notice.receipt.url, { method: "POST", body: jws, headers })) store(id, "done"); // taken: 200 or 201
}
const work = (id, body) => answer(id, body).catch((error) => console.error("not answered yet", id, error.message));
for (const [id, what] of known) if (what !== "done") work(id, Buffer.from(what, "base64")); // after a crash
createServer(async (request, response, body = Buffer.alloc(0)) => {
  const [id, say] = [request.headers["webhook-id"], (status) => response.writeHead(status).end()];
  for await (const part of request) // a notice has 4 kB at most
    if ((body = Buffer.concat([body, part])).length > 16_384) return say(413);
  if (!isOurs(request.headers, body)) return say(401);
  try { JSON.parse(body); } catch { return say(400); }
  if (!known.has(id)) { store(id, body.toString("base64")); work(id, body); } // stored first, answered then
  say(200);
}).listen(Number(port), "127.0.0.1");
