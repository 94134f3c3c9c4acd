// The models of the server that this page is from.
"use strict";
(async () => {
  const token = new URLSearchParams(location.hash.slice(1)).get("token");
  const headers = token ? { authorization: `Bearer ${token}` } : {};
  const get = async (path, options = {}) => {
    const response = await fetch(path, { ...options, headers: { ...headers, ...options.headers } });
    const value = await response.json();
    if (!response.ok) throw new Error([value.where, value.error].filter(Boolean).join(": ") + (value.hint ? ` (${value.hint})` : ""));
    return { value, remarks: JSON.parse(response.headers.get("dlx-remarks") ?? "[]") };
  };
  const { models } = (await get("about")).value;
  const open = (about) => {
    const query = `?model=${encodeURIComponent(about.name)}`;
    const predict = async ({ file, json }) => {
      const body = file ?? JSON.stringify(json);
      const { value, remarks } = await get(`predict${query}`, { method: "POST", body, headers: { "content-type": file ? "application/octet-stream" : "application/json" } });
      return { numbers: numbersIn(Array.isArray(value) ? value[0] : value, about), remarks };
    };
    window.answer = predict;
    $("ask").replaceChildren();
    page(about, predict, async () => (await get(`examples${query}`)).value);
  };
  if (models.length > 1) {
    const options = models.map((model, n) => make("option", { value: n }, model.name));
    $("title").after(make("select", { id: "model", "aria-label": "model", onchange: (e) => open(models[e.target.value]) }, ...options));
  }
  open(models[0]);
})().catch(fail);

// The numbers of one answer of dlx predict, in the order of the model.
function numbersIn(answer, about) {
  if (answer.probabilities === undefined) return [answer.value].flat();
  return [answer.probabilities].flat().flatMap((shares) => about.classes.map((name) => shares[name]));
}
