import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { useStream } from "./useStream.ts";

function Messages({ channel }: { readonly channel: string }) {
  const { messages, live, incomplete } = useStream(channel);
  return (
    <main>
      <h1>{channel}</h1>
      <p id="state">{live ? "live" : "connecting …"}</p>
      {incomplete && <p>Some messages are gone: load afresh what this page shows.</p>}
      <ul id="news">
        {messages.map(({ id, data }) => (
          <li key={id}>{data}</li>
        ))}
      </ul>
    </main>
  );
}

createRoot(document.querySelector("#root")!).render(
  <StrictMode>
    <Messages key="news" channel="news" />
  </StrictMode>,
);
