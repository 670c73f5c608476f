// A new copy of a page, from which scripts take the parts that the server makes.

// The page as a document; null if the server does not answer with one.
export async function freshPage(address = location.href) {
  const response = await fetch(address).catch(() => null);
  return response?.ok ? new DOMParser().parseFromString(await response.text(), "text/html") : null;
}
