"use client";

/** Where `page.tsx` throws, as it does while the backend is away. The log of this server says why. */
export default function ErrorPage({ retry }: { retry: () => void }) {
  return (
    <>
      <h1>The tasks could not be fetched</h1>
      <button onClick={retry}>Try again</button>
    </>
  );
}
