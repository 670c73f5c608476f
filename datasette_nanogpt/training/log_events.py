"""The log of a training run: what it was about to do, its scores, its notes, and how it ended."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from llm_nanogpt.errors import NanogptError

from ..events import Evaluation, Event, Finished, Note, Prepared, Speed
from ..registry.run_log import log


@contextmanager
def logging_failure() -> Iterator[None]:
    """Log an error that ends a run, with its traceback if it is not one of ours."""
    try:
        yield
    except (KeyboardInterrupt, GeneratorExit):
        log.warning("Stopped before the end")
        raise
    except BaseException as ex:
        log.error("Failed: %s", ex, exc_info=not isinstance(ex, NanogptError))
        raise


def note(text: str) -> Note:
    """A sentence for people, which is logged as well."""
    event = Note(text)
    log_event(event)
    return event


def log_event(event: Event) -> None:
    """Log the events that matter afterwards; most do not."""
    match event:
        case Prepared():
            s, c, config = event.source, event.corpus, event.config
            log.info("Text: %s of %s, %d rows", s["table"], s["database"], s["rows"])
            log.info(
                "Corpus: %d documents, %d bytes, %d tokens to train on, %d held out",
                *(c[key] for key in ("documents", "bytes", "train_tokens", "val_tokens")),
            )
            log.info("Model: %s, %d parameters, %s", event.name, config.parameters, config.shape)
            log.info("Device: %s (%s)", event.settings["device"], event.device_reason)
            log.info("Plan: %s", event.plan_reason or "as asked")
            if event.resumed_from:
                log.info("Resumed from step %d", event.resumed_from)
            if event.replaces:
                log.warning("It replaces a model: %s", event.replaces)
        case Speed():
            log.info("Speed: %s", event.why)
        case Evaluation():
            best = ", the best so far" if event.best else ""
            log.info("Step %d, %.1f s: %.4f bits per byte%s", event.step, event.seconds, event.val_bpb, best)
        case Note():
            log.info("%s", event.text)
        case Finished():
            if event.better_before is not None:
                log.warning("The model that it replaced had %.4f bits per byte", event.better_before)
            log.info(
                "%s after %d steps, %.1f s: %.4f bits per byte",
                event.status.capitalize(),
                event.step,
                event.seconds,
                event.val_bpb,
            )
