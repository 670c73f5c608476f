"""What chat programs write between the messages of people: who joined, who sent a photo, who called."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

from .exclusions import Exclusion, exclusion, listed
from .sample import Value
from .source import Source
from .sqlite import quote
from .text_kinds import read_text
from .unread_rows import as_text

MIN_FRACTION = 0.02  # of the rows: fewer are not told
MAX_FRACTION = 0.9  # more of the rows are what the table is
MAX_SHOWN = 3  # of these lines
LONGEST = 200  # characters of such a line
# Sentences of Messenger, Instagram, WhatsApp, Telegram, Signal, Teams and their kin, as SQL's LIKE has them:
# at the beginning `%` is a name or "You".
_LINES = """
% sent an attachment.|% sent a photo.|% sent a video.|% sent a link.|% sent a sticker.|% sent a GIF.
% sent % photos.|% sent a voice message.|% sent a voice clip.|% sent a live location.|% sent a location.
% shared a story.|You missed a call from %|You missed a video %|You missed your call %|% missed your call.
% missed your video %|% missed a call from you.|% called you.|You called %|% started a call.
% started a video %|% joined the call.|% joined the video %|The video chat ended.|The call ended.
The video call ended.|Missed voice call%|Missed video call%|Missed group %call%|Incoming call%
Outgoing call%|% started an audio call.|% ended the call.|Reacted % to your message%
% reacted % to your message%|Liked a message|% liked a message|% unsent a message%|% named the group %
% changed the group name %|% changed the group photo.|% changed the group description%|% changed the theme %
% changed the chat theme %|% changed the group's icon%|% changed this group's icon%|% changed the subject %
% set the nickname for %|% set your nickname %|% set % own nickname %|% cleared % nickname%
% set the emoji to %|% set the quick reaction to %|% created the group%|% created this group%
% created group %|% added % to the group.|% added % to the chat.|% removed % from the group.
% removed % from the chat.|% left the group.|% left the chat.|% joined the group%|% joined the chat%
% joined using % invite link%|% has joined the channel|% has left the channel|% has joined the room
% has left the room|% joined the room.|% left the room.|% joined the channel.|% left the channel.
% joined the server.|% joined Telegram%|% turned on disappearing messages%
% turned off disappearing messages%|% set the disappearing message %|% pinned a message%
% unpinned a message%|% is now an admin%|% is no longer an admin%|You're now an admin%
Your security code with % changed%|% changed their phone number %|% took a screenshot%|% waved at you%
Messages and calls are end-to-end encrypted%|Messages to this % are now secured %
You can now message and call %|You are now connected on Messenger%|Say hi to your new Facebook friend%
This message was deleted%|You deleted this message%|<Media omitted>|image omitted|video omitted
audio omitted|sticker omitted|GIF omitted
"""
_PATTERNS = [pattern for line in _LINES.strip().splitlines() for pattern in line.split("|")]


def _matches(pattern: str) -> str:
    """A LIKE as a regular expression; whoever did it is no "I"."""
    first = r"(?!(?:I|We|i|we) )[^.!?\n]{1,60}" if pattern.startswith("%") else ""
    rest = pattern.removeprefix("%").split("%")
    return first + r"[^\n]{0,120}".join(map(re.escape, rest))


_LINE = [(pattern, re.compile(_matches(pattern), re.IGNORECASE)) for pattern in _PATTERNS]


def chat_lines(source: Source, of: str) -> Iterator[Exclusion]:
    """A sentence about such rows of the source's sample, with the option that leaves them out. `of` says what
    was looked at: "rows"."""
    if len(source.body) != 1 or any(isinstance(row[source.body[0]], bytes) for row in source.sample):
        return
    (column,) = source.body
    found = Counter[str]()
    shown: dict[str, str] = {}
    for row in source.sample:
        text = _text(row[column])
        if pattern := _pattern_of(text):
            found[pattern] += 1
            shown.setdefault(pattern, read_text(text, source.kinds[column]).text)
    if not MIN_FRACTION * len(source.sample) < found.total() < MAX_FRACTION * len(source.sample):
        return
    examples = ", ".join(f'"{shown[pattern]}"' for pattern, _ in found.most_common(MAX_SHOWN))
    name = quote(column)
    told = f"{found.total():,} {of} are what a chat program says ({examples}). To leave these out"
    likes = " or ".join(f"{name} like {listed([pattern])}" for pattern in sorted(found))
    yield exclusion(source, told, f"not ifnull({likes}, 0)")


def _text(value: Value) -> str:
    return as_text(value).strip()


def _pattern_of(text: str) -> str:
    if not text or len(text) > LONGEST or "\n" in text:
        return ""
    return next((pattern for pattern, line in _LINE if line.fullmatch(text)), "")
