// Where the backend is and where tokens come from; the server of this page knows.

const response = await fetch("/config.json");
export const config = await response.json();
