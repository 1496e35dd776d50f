/** The page before its scripts have begun. Nothing in it comes from anybody but us. */
export function pageHtml(modules: readonly string[]): string {
  const [main = "", ...others] = modules;
  const preloads = others.map((path) => `<link rel="modulepreload" href="${path}">`).join("\n");
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Amalgam</title>
<link rel="icon" href="/icon.svg" type="image/svg+xml">
<link rel="stylesheet" href="/page.css">
${preloads}
<script type="module" src="${main}"></script>
</head>
<body>
<a class="skip" href="#jobs-section">Skip to the jobs</a>
<header class="top">
<div class="brand"><img src="/icon.svg" alt="" width="30" height="30"><h1>Amalgam</h1><p id="server"></p></div>
<p id="link" class="link" role="status"><span class="mark" aria-hidden="true"></span> <span id="link-text">Connecting</span></p>
<div class="tools"><label class="unseen" for="theme">Colours</label><select id="theme"><option value="auto">Auto</option><option value="light">Light</option><option value="dark">Dark</option></select><button type="button" id="log-in" hidden>Log in</button><button type="button" id="log-out" hidden>Log out</button></div>
</header>
<noscript><p class="banner">This page needs its scripts. For scripts of yours there is <a href="/api/state">/api/state</a>.</p></noscript>
<dl class="tiles" id="tiles"></dl>
<main>
<section id="work-section" aria-labelledby="work-title"><h2 id="work-title">At work</h2>
<div id="work" class="cards"></div><p class="note" id="work-note"></p></section>
<div class="columns">
<section id="jobs-section" aria-labelledby="jobs-title"><div class="head"><h2 id="jobs-title">Jobs</h2>
<div class="filters"><label>State <select id="jobs-state"></select></label><label>Find <input id="jobs-find" type="search" maxlength="100" placeholder="name, output, person"></label></div></div>
<div class="scroll rows" tabindex="0" role="region" aria-labelledby="jobs-title"><table id="jobs"><thead><tr><th scope="col">Job</th><th scope="col">State</th><th scope="col">Progress</th><th scope="col">Handed in</th></tr></thead><tbody id="jobs-rows"></tbody></table></div>
<p class="note" id="jobs-note" aria-live="polite"></p></section>
<section id="nodes-section" aria-labelledby="nodes-title"><div class="head"><h2 id="nodes-title">Nodes</h2>
<div class="filters"><label>State <select id="nodes-state"></select></label><label>Find <input id="nodes-find" type="search" maxlength="100" placeholder="name, host, version"></label></div></div>
<div class="scroll rows" tabindex="0" role="region" aria-labelledby="nodes-title"><table id="nodes"><thead><tr><th scope="col">Node</th><th scope="col">State</th><th scope="col">In use</th><th scope="col">Now</th></tr></thead><tbody id="nodes-rows"></tbody></table></div>
<p class="note" id="nodes-note" aria-live="polite"></p></section>
<section id="feed-section" aria-labelledby="feed-title"><div class="head"><h2 id="feed-title">What happened</h2>
<div class="filters"><label>Level <select id="feed-level"></select></label><label>Find <input id="feed-find" type="search" maxlength="100" placeholder="job, node, code, words"></label></div></div>
<ol id="feed" class="feed rows" tabindex="0" aria-labelledby="feed-title"></ol>
<p class="note" id="feed-note" aria-live="polite"></p></section>
<section id="sweeps-section" aria-labelledby="sweeps-title" hidden><h2 id="sweeps-title">Sweeps</h2>
<div id="sweeps" class="sweeps"></div><p class="note" id="sweeps-note"></p></section>
</div>
</main>
<footer><p>Everything here is also at <a href="/api/state">/api/state</a> and <a href="/api/events">/api/events</a>.</p></footer>
<div id="tip" class="tip" role="tooltip" hidden></div>
<p id="said" class="unseen" aria-live="polite"></p>
<dialog id="details" aria-labelledby="details-title"><div class="head"><h2 id="details-title"></h2><button type="button" id="details-close" aria-label="Close">✕</button></div><div id="details-body"></div></dialog>
<dialog id="confirm" aria-labelledby="confirm-title"><h2 id="confirm-title"></h2><p id="confirm-text"></p><p class="wrong" id="confirm-problem" role="alert"></p><div class="buttons"><button type="button" id="confirm-no">Leave it</button><button type="button" id="confirm-yes" class="strong"></button></div></dialog>
<dialog id="door" aria-labelledby="door-title"><h2 id="door-title">Log in</h2><p>With the token that the server was started with, jobs can be canceled and nodes drained from here.</p><form id="door-form"><input type="text" autocomplete="username" value="amalgam" hidden><label>Token <input id="door-token" type="password" autocomplete="current-password" maxlength="1024" required></label><p class="wrong" id="door-problem" role="alert"></p><div class="buttons"><button type="button" id="door-no">Back</button><button type="submit" class="strong">Log in</button></div></form></dialog>
</body>
</html>
`;
}
