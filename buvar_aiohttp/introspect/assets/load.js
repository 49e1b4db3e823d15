// The data, which the service is asked for.

const base = document.querySelector("script[data-base]").dataset.base;

/** Tell that something is wrong; null: no more. */
function trouble(text) {
  const element = document.getElementById("trouble");
  element.textContent = text || "";
  element.hidden = text === null;
}

/** Ask the service for a document; null, and told, where that fails. */
async function ask(name) {
  try {
    const answer = await fetch(`${base}/${name}`, { cache: "no-store", credentials: "same-origin" });
    if (!answer.ok) throw new Error(`it answers ${answer.status}`);
    const found = await answer.json();
    trouble(null);
    return found;
  } catch (error) {
    trouble(`The service does not tell ${name}: ${error.message}`);
    return null;
  }
}

let facts = await ask("data.json");
if (facts === null) return;
const picture = facts.graph;
