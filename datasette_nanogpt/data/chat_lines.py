"""What chat programs write between the messages of people: who joined, who sent a photo, who called."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence, Set

from .column_names import named
from .decode import as_text
from .exclusions import MAX_BY_PROGRAMS, Exclusion, exclusion, is_told, listed
from .sample import Value
from .source import Source
from .speakers import SPEAKERS
from .sqlite import quote
from .values_as_text import read_text

MAX_SHOWN = 3  # of these lines
LONGEST = 200  # characters of such a line
MIN_ALIKE = 0.5  # the fraction of the rows that say what another one says, but for names and numbers
MARK = "\N{LEFT-TO-RIGHT MARK}"  # which WhatsApp on an iPhone puts before what it says itself
MIN_NAMES = 2  # of who wrote the other rows, and nobody
_NUMBER = re.compile(r"\d+|[\"'“”«»„]")
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
% joined the server.|Missed call|Missed call from %|% joined Telegram%|% turned on disappearing messages%
% turned off disappearing messages%|% set the disappearing message %|% pinned a message%
% unpinned a message%|% is now an admin%|% is no longer an admin%|You're now an admin%
Your security code with % changed%|% changed their phone number %|% took a screenshot%|% waved at you%
Messages and calls are end-to-end encrypted%|Messages to this % are now secured %
You can now message and call %|You are now connected on Messenger%|Say hi to your new Facebook friend%
This message was deleted%|You deleted this message%|<Media omitted>|image omitted|video omitted
audio omitted|sticker omitted|GIF omitted
"""
# The commonest of them in other languages.
_TRANSLATED = """
Nachrichten und Anrufe sind Ende-zu-Ende-verschlüsselt%|Du hast diese Nachricht gelöscht.
Diese Nachricht wurde gelöscht.|<Medien ausgeschlossen>|Bild weggelassen|Video weggelassen|Audio weggelassen
Sticker weggelassen|Verpasster Anruf%|Verpasster Sprachanruf%|Verpasster Videoanruf%
% hat die Gruppe verlassen.|% hat das Gruppenbild geändert.|% hat den Betreff % geändert%
% hat ein Foto gesendet.|% hat einen Anhang gesendet.|% ist der Gruppe %beigetreten%
Les messages et les appels sont chiffrés de bout en bout%|Ce message a été supprimé.
Vous avez supprimé ce message.|<Médias omis>|image absente|vidéo absente|audio omis|sticker omis
Appel manqué%|Appel vocal manqué%|Appel vidéo manqué%|% a quitté le groupe.|% a rejoint le groupe%
% a envoyé une photo.|% a envoyé une pièce jointe.|% a changé l'icône du groupe%
Los mensajes y las llamadas están cifrados de extremo a extremo%|Se eliminó este mensaje.
Eliminaste este mensaje.|<Multimedia omitido>|imagen omitida|video omitido|audio omitido|sticker omitido
Llamada perdida%|Llamada de voz perdida%|Videollamada perdida%|% salió del grupo.
% se unió usando el enlace %|% cambió el ícono %|% envió una foto.|% envió un archivo adjunto.
As mensagens e % são protegidas com a criptografia de ponta a ponta%|Mensagem apagada.
Essa mensagem foi apagada.|Você apagou esta mensagem.|<Mídia oculta>|<Arquivo de mídia oculto>
imagem ocultada|áudio ocultado|vídeo omitido|figurinha omitida|Chamada perdida%|Chamada de voz perdida%
Chamada de vídeo perdida%|Ligação de voz perdida%|% saiu do grupo.|% entrou usando o link %
% mudou a imagem do grupo%|% enviou uma foto.|% enviou um anexo.
I messaggi e le chiamate sono crittografati end-to-end%|Questo messaggio è stato eliminato.
Hai eliminato questo messaggio.|<Media omessi>|immagine omessa|audio omesso|video omesso|sticker omesso
Chiamata persa%|Chiamata vocale persa%|Videochiamata persa%|% ha abbandonato il gruppo.
% ha inviato una foto.|% ha inviato un allegato.
Berichten en oproepen worden end-to-end versleuteld%|Dit bericht is verwijderd.
U hebt dit bericht verwijderd.|Je hebt dit bericht verwijderd.|<Media weggelaten>|afbeelding weggelaten
Gemiste oproep%|Gemiste spraakoproep%|Gemiste video-oproep%|% heeft de groep verlaten.
<Без медиафайлов>|Данное сообщение удалено.|Вы удалили данное сообщение.|Пропущенный аудиозвонок%
Пропущенный видеозвонок%|Пропущенный звонок%|<Medya dahil edilmedi>|Bu mesaj silindi.
"""
_PATTERNS = [
    pattern for line in (_LINES + _TRANSLATED).strip().splitlines() for pattern in line.split("|") if pattern
]
_PATTERNS += [pattern[:-1] for pattern in _PATTERNS if pattern.endswith(".")]  # newer ones have no full stop


def _matches(pattern: str) -> str:
    """A LIKE as a regular expression; whoever did it is no "I"."""
    first = r"(?!(?:I|We|i|we) )[^.!?\n]{1,60}" if pattern.startswith("%") else ""
    rest = pattern.removeprefix("%").split("%")
    return first + r"[^\n]{0,120}".join(map(re.escape, rest))


_LINE = [(pattern, re.compile(_matches(pattern), re.IGNORECASE)) for pattern in _PATTERNS]


def chat_lines(source: Source, of: str) -> Iterator[Exclusion]:
    """Sentences about such rows of the source's sample, with the options that leave them out. `of` says what
    was looked at: "rows"."""
    if len(source.body) != 1 or any(isinstance(row[source.body[0]], bytes) for row in source.sample):
        return
    yield from _known_lines(source, of)
    speakers = named(SPEAKERS, [name for name in source.columns if name not in source.text_columns])
    for speaker in speakers[:1]:
        yield from _about_speakers(source, speaker, of)
        yield from _of_nobody(source, speaker, of)


def _known_lines(source: Source, of: str) -> Iterator[Exclusion]:
    (column,) = source.body
    found = Counter[str]()
    shown: dict[str, str] = {}
    for row in source.sample:
        text = _text(row[column])
        if pattern := _pattern_of(text):
            found[pattern] += 1
            shown.setdefault(pattern, read_text(text, source.kinds[column]).text or text)
    if not is_told(source, found.total(), MAX_BY_PROGRAMS):
        return
    examples = ", ".join(f'"{shown[pattern]}"' for pattern, _ in found.most_common(MAX_SHOWN))
    is_marked = any(as_text(row[column]).startswith(MARK) for row in source.sample)
    name = f"ltrim({quote(column)}, char({ord(MARK)}))" if is_marked else quote(column)
    told = f"{found.total():,} {of} are what a chat program says ({examples}). To leave these out"
    likes = " or ".join(f"{name} like {listed([pattern])}" for pattern in sorted(found))
    yield exclusion(source, told, f"not ifnull({likes}, 0)")


def _about_speakers(source: Source, speaker: str, of: str) -> Iterator[Exclusion]:
    """About rows that begin with the name of who is said to have written them, as no one speaks of oneself,
    where several say the same: "Ada hat den Raum betreten", in any language."""
    (column,) = source.body
    rows = [(str(row[speaker] or ""), as_text(row[column])) for row in source.sample]
    about = [(name, text) for name, text in rows if name.strip() and text.startswith(f"{name} ")]
    about = [(name, text) for name, text in about if not _pattern_of(text)]
    names, texts = {name for name, _ in rows}, [text for _, text in about]
    if _say_the_same(source, texts, names) and len({name for name, _ in about}) > 1:
        like = f'like the messages of a chat program ("{texts[0]}")'
        told = f"{len(about):,} {of} begin with the name in {speaker}, {like}"
        starts = f"instr({quote(column)}, {quote(speaker)} || ' ')"
        yield exclusion(source, f"{told}. To leave these out", f"ifnull({starts}, 0) <> 1")


def _of_nobody(source: Source, speaker: str, of: str) -> Iterator[Exclusion]:
    """About rows without a name in a chat, where several say the same."""
    (column,) = source.body
    if any(isinstance(row[speaker], int | float) for row in source.sample):
        return
    rows = [(str(row[speaker] or "").strip(), _text(row[column])) for row in source.sample]
    names = {name for name, _ in rows}
    of_nobody = [text for name, text in rows if not name and text and not _pattern_of(text)]
    if _say_the_same(source, of_nobody, names) and len(names) > MIN_NAMES:
        shown = of_nobody[0][:LONGEST]
        told = f'{len(of_nobody):,} {of} have no {speaker}, like the messages of a chat program ("{shown}")'
        yield exclusion(source, f"{told}. To leave these out", f"ifnull({quote(speaker)}, '') <> ''")


def _say_the_same(source: Source, texts: Sequence[str], names: Set[str]) -> bool:
    """Whether these are some of the rows, and most of them say what another one says of other people."""
    said = Counter(_without_names(text, names) for text in texts)
    alike = sum(count for count in said.values() if count > 1)
    return is_told(source, len(texts), MAX_BY_PROGRAMS) and alike >= MIN_ALIKE * len(texts)


def _without_names(text: str, names: Set[str]) -> str:
    """What is the same where a program says something of several people."""
    for name in sorted(filter(None, names), key=len, reverse=True):
        text = text.replace(name, "")
    return " ".join(_NUMBER.sub("", text).split())


def _text(value: Value) -> str:
    return as_text(value).strip().lstrip(MARK)


def _pattern_of(text: str) -> str:
    if not text or len(text) > LONGEST or "\n" in text:
        return ""
    return next((pattern for pattern, line in _LINE if line.fullmatch(text)), "")
