// The smallest receiver, in Node 20 without any package: node receiver.mjs connected.json https://dabyl.example 8080
import { createHash, createHmac, createPrivateKey, createPublicKey, sign, timingSafeEqual, verify } from "node:crypto";
import { fsyncSync, openSync, readFileSync, writeFileSync } from "node:fs";
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
const digest = (bytes) => createHash("sha256").update(bytes).digest("hex");
const lines = readFileSync(journal, "utf8").split("\n").map((line) => line.split(" ")); // a power cut may have torn one
const known = new Map(lines.filter(([id, what, sum]) => sum === digest(id + what))); // id -> body, or "done"
const add = (id, what) => writeFileSync(journal, `\n${id} ${what} ${digest(id + what)}\n`); // glued to no torn line
const store = (id, what) => [add(id, what), fsyncSync(journal), known.set(id, what)]; // known when it is on disk
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
  const bare = notice.test || notice.silent || notice.breached; // a test, or of a body below: no content
  if (!(bare || (await call(notice.content.url, { headers: { "dabyl-grant": notice.content.grant } })))) return; // else: to a person!
  const person = notice.test ? { name: "test", position: "system" } : { name: "Name of who took it", position: "Duty officer" };
  const receipt = { delivery: notice.delivery, notice_digest: digest(body), status: "received", person, at: new Date() };
  const text = [{ alg: "Ed25519" }, receipt].map((o) => Buffer.from(JSON.stringify(o)).toString("base64url")).join(".");
  const jws = `${text}.${sign(null, Buffer.from(text), receiptKey).toString("base64url")}`;
  await call(notice.receipt.url, { method: "POST", body: jws, headers: { "content-type": "application/jose" } });
  store(id, "done"); // taken (200, 201), or another answer stands (409)
}
const work = (id, body) => answer(id, body).catch((error) => console.error("not answered yet", id, error.message));
for (const [id, what] of known) if (what !== "done") work(id, Buffer.from(what, "base64")); // after a crash
async function take(request, id = request.headers["webhook-id"], body = Buffer.alloc(0)) {
  for await (const part of request) // a notice has 4 kB at most
    if ((body = Buffer.concat([body, part])).length > 16_384) return 413;
  try { if (!isOurs(request.headers, body) || !JSON.parse(body)) return 401; } catch { return 400; } // signed, no JSON
  if (!known.has(id)) { store(id, body.toString("base64")); work(id, body); } // stored first
  return 200;
} // 500: they broke off, or the disk is full. Nothing is known then, and it comes again
createServer((request, response) => take(request).catch((error) => console.error("not taken:", error.message) ?? 500)
  .then((status) => response.writeHead(status).end())).listen(Number(port), "127.0.0.1");
