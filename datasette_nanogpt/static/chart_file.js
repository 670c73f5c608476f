// Saves the chart as an SVG that contains its colours, or as a PNG. To paint an SVG as a whole it must be loaded from a
// blob: address, which a strict content security policy forbids, so the PNG is painted node by node.
import { element } from "./dom.js";

const STYLES = ["stroke", "stroke-width", "stroke-dasharray", "stroke-opacity", "fill", "font-family", "font-size", "font-weight"];
const SCALE = 2;  // how many pixels of the PNG one pixel of the chart becomes

const number = (node, name) => Number(node.getAttribute(name));
const dashes = (style) => style.strokeDasharray === "none" ? [] : style.strokeDasharray.split(/[ ,]+/).map(parseFloat);

function save(blob, name) {
  const link = element("a", "", { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

// The colour behind the chart on the page, which is white or dark.
function background(svg) {
  const holder = svg.closest("figure");
  return getComputedStyle(holder).backgroundColor;
}

export function saveSvg(svg, name) {
  const copy = svg.cloneNode(true);
  const [from, to] = [svg, copy].map((root) => [...root.querySelectorAll("*")]);
  from.forEach((node, i) => {
    const style = getComputedStyle(node);
    for (const key of STYLES) to[i].setAttribute(key, style.getPropertyValue(key));
  });
  copy.querySelector(".cursor")?.remove();
  copy.setAttribute("xmlns", "http://www.w3.org/2000/svg");
  const paper = document.createElementNS("http://www.w3.org/2000/svg", "rect");
  for (const [key, value] of Object.entries({ width: "100%", height: "100%", fill: background(svg) })) paper.setAttribute(key, value);
  copy.prepend(paper);
  save(new Blob([new XMLSerializer().serializeToString(copy)], { type: "image/svg+xml" }), name);
}

function paint(context, node) {
  const style = getComputedStyle(node);
  Object.assign(context, { strokeStyle: style.stroke, fillStyle: style.fill, lineWidth: parseFloat(style.strokeWidth) });
  context.globalAlpha = node.tagName === "text" ? 1 : Number(style.strokeOpacity);
  context.setLineDash(dashes(style));
  context.beginPath();
  if (node.tagName === "text") {
    context.font = `${style.fontWeight} ${style.fontSize} ${style.fontFamily}`;
    context.textAlign = { middle: "center", end: "right" }[node.getAttribute("text-anchor")] ?? "left";
    context.fillText(node.textContent, number(node, "x"), number(node, "y"));
  } else if (node.tagName === "path") {  // a triangle, moved to its place
    const { a, b, c, d, e, f } = node.transform.baseVal.consolidate().matrix;
    context.transform(a, b, c, d, e, f);
    context.fill(new Path2D(node.getAttribute("d")));
  } else if (node.tagName === "circle") {
    context.arc(number(node, "cx"), number(node, "cy"), number(node, "r"), 0, 2 * Math.PI);
    context.fill();
  } else if (node.tagName === "line") {
    context.moveTo(number(node, "x1"), number(node, "y1"));
    context.lineTo(number(node, "x2"), number(node, "y2"));
    context.stroke();
  } else if (node.tagName === "polyline") {
    for (const point of node.getAttribute("points").split(" ")) context.lineTo(...point.split(",").map(Number));
    context.stroke();
  }
}

export function savePng(svg, name) {
  const { width, height } = svg.viewBox.baseVal;
  const canvas = element("canvas", "", { width: SCALE * width, height: SCALE * height });
  const context = canvas.getContext("2d"), inside = svg.querySelector("clipPath rect");
  context.scale(SCALE, SCALE);
  context.fillStyle = background(svg);
  context.fillRect(0, 0, width, height);
  for (const node of svg.querySelectorAll("line:not(.cursor), polyline, circle, path, text")) {
    context.save();
    if (node.closest("[clip-path]")) {
      context.beginPath();
      context.rect(...["x", "y", "width", "height"].map((key) => number(inside, key)));
      context.clip();
    }
    paint(context, node);
    context.restore();
  }
  canvas.toBlob((blob) => save(blob, name));
}
