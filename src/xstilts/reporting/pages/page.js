// Adds to a page that is whole without it: the theme, tables that sort, filter and copy, links into folded parts.
"use strict";
(() => {
  const root = document.documentElement;
  const add = (place, tag, text, facts = {}) => {
    const made = document.createElement(tag);
    made.textContent = text;
    Object.entries(facts).forEach(([name, value]) => made.setAttribute(name, value));
    place.append(made);
    return made;
  };
  const kept = (value) => {
    try {
      return value === undefined ? localStorage.getItem("theme") : localStorage.setItem("theme", value);
    } catch {
      return null; // a page from a disk may have no storage
    }
  };

  const THEMES = ["auto", "light", "dark"];
  const dress = (theme) => (theme === "auto" ? root.removeAttribute("data-theme") : root.setAttribute("data-theme", theme));
  const themed = () => {
    let theme = THEMES.includes(kept()) ? kept() : "auto";
    const button = add(document.querySelector(".top"), "button", "", { type: "button", class: "theme" });
    const show = () => {
      dress(theme);
      button.textContent = `Theme: ${theme}`;
    };
    button.addEventListener("click", () => {
      theme = THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length];
      kept(theme);
      show();
    });
    show();
  };

  const text = (cell) => {
    const copy = cell.cloneNode(true);
    copy.querySelectorAll(".unseen, .open, svg").forEach((one) => one.remove());
    return copy.textContent.replace(/\s+/g, " ").trim();
  };
  const value = (cell) => (cell.dataset.value === undefined ? null : Number(cell.dataset.value));
  const order = (one, other) => {
    const [a, b] = [value(one), value(other)];
    if (a !== null && b !== null) return a - b;
    if (a !== null || b !== null) return a === null ? 1 : -1;
    return text(one).localeCompare(text(other), "en", { numeric: true });
  };
  const sort = (table, column, direction) => {
    const body = table.tBodies[0];
    const missing = (row) => text(row.cells[column]) === "–";
    const rows = [...body.rows].map((row, place) => ({ row, place }));
    rows.sort((one, other) => {
      if (missing(one.row) !== missing(other.row)) return missing(one.row) ? 1 : -1;
      return direction * order(one.row.cells[column], other.row.cells[column]) || one.place - other.place;
    });
    body.append(...rows.map(({ row }) => row));
  };
  const sortable = (table) => {
    const heads = [...table.tHead.rows[0].cells];
    heads.forEach((head, column) => {
      const label = head.textContent;
      head.textContent = "";
      add(head, "button", label, { type: "button" }).addEventListener("click", () => {
        const up = head.getAttribute("aria-sort") !== "ascending";
        heads.forEach((one) => one.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", up ? "ascending" : "descending");
        sort(table, column, up ? 1 : -1);
      });
    });
  };

  const shown = (table) => [table.tHead.rows[0], ...[...table.tBodies[0].rows].filter((row) => !row.hidden)];
  const csv = (table) => {
    const quoted = (content) => (/[",\r\n]/.test(content) ? `"${content.replaceAll('"', '""')}"` : content);
    const one = (cell) => {
      const alone = cell.dataset.value !== undefined && !cell.querySelector("svg");
      return quoted(alone ? cell.dataset.value : text(cell).replaceAll("−", "-"));
    };
    return shown(table).map((row) => [...row.cells].map(one).join(",")).join("\r\n") + "\r\n";
  };
  const SPECIAL = { "\\": "\\textbackslash{}", "~": "\\textasciitilde{}", "^": "\\textasciicircum{}", "−": "$-$", "–": "--",
    "<": "\\textless{}", ">": "\\textgreater{}", "|": "\\textbar{}", "·": "$\\cdot$" };
  const tex = (content) => content.replace(/[\\~^−–<>|·&%$#_{}]/g, (letter) => SPECIAL[letter] || `\\${letter}`);
  const latex = (table) => {
    const [head, ...rows] = shown(table);
    const line = (row) => `${[...row.cells].map((cell) => tex(text(cell))).join(" & ")} \\\\`;
    const columns = [...head.cells].map((cell) => (cell.classList.contains("number") ? "r" : "l")).join("");
    const body = ["\\toprule", line(head), "\\midrule", ...rows.map(line), "\\bottomrule"].join("\n");
    return `\\begin{tabular}{${columns}}\n${body}\n\\end{tabular}\n`;
  };
  const copy = async (content) => {
    try {
      await navigator.clipboard.writeText(content);
      return true;
    } catch {
      const area = add(document.body, "textarea", content);
      area.select();
      const done = document.execCommand("copy");
      area.remove();
      return done;
    }
  };

  const tooled = (tools) => {
    const table = tools.parentElement.querySelector("table");
    const rows = [...table.tBodies[0].rows];
    const button = (label, made) => add(tools, "button", label, { type: "button" }).addEventListener("click", async () => {
      notice.textContent = (await copy(made(table))) ? "copied" : "could not be copied";
    });
    if (rows.length > 1) sortable(table);
    if (rows.length > 8) {
      const search = add(tools, "input", "", { type: "search", placeholder: "Filter", "aria-label": `Filter ${table.caption.textContent}` });
      const texts = new Map();
      search.addEventListener("input", () => {
        const words = search.value.toLowerCase().split(/\s+/);
        rows.forEach((row) => {
          if (!texts.has(row)) texts.set(row, [...row.cells].map(text).join(" ").toLowerCase());
          row.hidden = !words.every((word) => texts.get(row).includes(word));
        });
        notice.textContent = `${rows.filter((row) => !row.hidden).length} of ${rows.length} rows`;
      });
    }
    button("Copy CSV", csv);
    button("Copy LaTeX", latex);
    const notice = add(tools, "span", "", { role: "status" });
  };

  const reveal = () => {
    const found = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    for (let one = found; one; one = one.parentElement) if (one.tagName === "DETAILS") one.open = true;
    if (found) {
      found.hidden = false;
      found.scrollIntoView({ block: "center" });
    }
  };
  themed();
  document.querySelectorAll(".tools").forEach(tooled);
  addEventListener("hashchange", reveal);
  reveal();
  let closed = [];
  addEventListener("beforeprint", () => {
    closed = [...document.querySelectorAll("details:not([open])")];
    closed.forEach((one) => (one.open = true));
  });
  addEventListener("afterprint", () => closed.forEach((one) => (one.open = false)));
})();
