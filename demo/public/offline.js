// A service worker that keeps the page itself in the browser, so that it comes up without a connection. What people have
// written is kept by the client's store.

const CACHE = "page";
const ANSWER_WITHIN = 3_000;
const SLOW_FOR = 30_000;

let slowUntil = 0;

self.addEventListener("install", (event) => {
  event.waitUntil(keepAll().then(() => self.skipWaiting()));
});
self.addEventListener("activate", (event) => event.waitUntil(self.clients.claim()));
self.addEventListener("fetch", (event) => {
  const { origin, pathname } = new URL(event.request.url);
  const ofThePage = event.request.method === "GET" && origin === location.origin && !pathname.startsWith("/api/");
  if (ofThePage) event.respondWith(answer(event, pathname));
});

async function keepAll() {
  const cache = await caches.open(CACHE);
  await cache.addAll(await (await fetch("/files.json")).json());
}

/** From the server, where it answers in time, so that nobody sees an old page; else as it was last. */
async function answer(event, path) {
  const cache = await caches.open(CACHE);
  const kept = await cache.match(path);
  const response = fetch(event.request);
  event.waitUntil(response.then((fresh) => fresh.ok && cache.put(path, fresh.clone()), () => {}));
  if (!kept) return response;

  // A page is made of many files, and this is waited for once.
  const slow = Date.now() < slowUntil;
  let timer;
  const late = new Promise((resolve) => {
    timer = setTimeout(() => {
      if (!slow) slowUntil = Date.now() + SLOW_FOR;
      resolve(kept);
    }, slow ? 0 : ANSWER_WITHIN);
  });
  const inTime = response.then((fresh) => (fresh.status < 500 ? fresh : kept), () => kept);
  return Promise.race([late, inTime.finally(() => clearTimeout(timer))]);
}
