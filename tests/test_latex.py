"""LaTeX becomes what somebody would read; formulas, code, and texts about LaTeX stay."""

import time

import pytest

from datasette_nanogpt.data.text_kinds import kind_of
from datasette_nanogpt.data.values_as_text import read_text, read_title

PAPER = r"""% a draft
\documentclass[11pt]{article}
\usepackage[utf8]{inputenc}
\newcommand{\R}{\mathbb{R}}
\title{The \emph{old} mill\thanks{For Ben.}}
\author{Ada Lee \and Ben Ito}
\begin{document}
\maketitle
\begin{abstract}
We follow the river~\cite{ada2001,ben} to the mill
and back.
\end{abstract}
\section{The river}\label{sec:river}
It is \textbf{wide}\footnote{As \emph{ever}.} (see \eqref{eq:a}, Figure~\ref{fig:a}), 5\% of
the way. % check
\citet{knuth1984} calls it ``quiet''---and \href{https://x.org}{so do \textit{we}}.
\begin{equation}\label{eq:a}
  f(x) = \sum_{i=1}^{n} x_i
\end{equation}
where $x_i \in \R$ costs \$5.

\begin{itemize}
  \item one \LaTeX{} boat
  \item two: Erd\H{o}s, Poincar\'e, Schr{\"o}dinger, na\"{\i}ve
\end{itemize}
\begin{theorem}[Ada]\label{thm:a}
All boats float.
\end{theorem}
\begin{figure}[ht]
  \centering
  \includegraphics[width=\textwidth]{mill.pdf}
  \caption{The mill in \emph{May}.}
\end{figure}
\begin{tabular}{ll} a & b \\ \end{tabular}
\begin{verbatim}
  50% of {this}
  stays
\end{verbatim}
\bibliography{refs}
\end{document}
"""
TITLE = "The old mill"
TEXT = r"""We follow the river to the mill and back.

The river

It is wide (see, Figure), 5% of the way. Knuth calls it “quiet”—and so do we.
$$
  f(x) = \sum_{i=1}^{n} x_i
$$
where $x_i \in \R$ costs $5.
- one LaTeX boat
- two: Erdős, Poincaré, Schrödinger, naïve

Theorem (Ada). All boats float.

The mill in May.

```
  50% of {this}
  stays
```"""


def read(text, count=5):
    kind = kind_of([text] * count)
    return kind, read_text(text, kind)


def test_a_paper():
    kind, text = read(PAPER)
    assert (kind.markup, text.title, text.text) == ("LaTeX", TITLE, TEXT)


def test_a_chapter():
    chapter = "\\chapter{The river}\n\nIt is\nwide.\\\\And deep.\n\n\\input{b}\n\\section*{Boats}\nTwo~boats."
    assert read(chapter)[1].text == "The river\n\nIt is wide.\nAnd deep.\n\nBoats\n\nTwo boats."


def test_abstracts_of_papers():
    """Some have commands in their lines. Their % and ~ are what they seem to be."""
    plain = "We walk, and 5% of $5 is ~1 in {a}."
    some = '  Erd\\H{o}s \\emph{et al.}~\\cite{a} show that $x_i \\le {n}$; na{\\"i}ve, 5\\% of it.'
    kind = kind_of([plain] * 9 + [some])
    assert kind.markup == "LaTeX in prose"
    assert read_text(some, kind).text == "Erdős et al. show that $x_i \\le {n}$; naïve, 5% of it."
    assert (
        read_title("The \\emph{old} {M}ill", kind_of(["\\emph{A} b"] * 3), entities=False) == "The old Mill"
    )


@pytest.mark.parametrize(
    "text",
    [
        "Let $n = 3$. What is $\\frac{a}{2}$, or\n\\[x^2 + \\boxed{1}\\]",
        "To make it bold, write `\\textbf{so}` and `\\section{A}`.\n\n```\n\\begin{itemize}\n\\item a\n```",
        "<p>Write <code>\\emph{so}</code> or <code>\\section{A}</code>.</p>",
        "It\\'s in C:\\users\\emph and {braces}.",
        "{{ title }} and \\n and \\d{3} and \\ref",
    ],
)
def test_other_texts_stay(text):
    assert not read(text)[0].markup.startswith("LaTeX")


def test_long_texts_take_little_time():
    began = time.process_time()
    for part in (
        "\\section{",
        "\\emph{a ",
        "{\\em ",
        "$a ",
        "\\begin{figure}",
        "\\begin{verbatim}",
        "\\cite[a",
    ):
        read("\\section{A}\n" + part * (60_000 // len(part)), 2)
    assert time.process_time() - began < 20


def test_a_document_whose_preamble_is_in_another_file():
    text = (
        "\\input{preamble}\n% here\n\\begin{document}\n\\title{Conventions}\n\\maketitle\n\\tableofcontents\n"
        "\\section{Sets}\n\\noindent\nWe use sets.\nSee \\cite{Kunen}.\n\n\\smallskip\\noindent So it is.\n"
        "\\end{document}"
    )
    kind, read_as = read(text)
    assert (read_as.title, read_as.text) == ("Conventions", "Sets\n\nWe use sets.\n\nSo it is.")
