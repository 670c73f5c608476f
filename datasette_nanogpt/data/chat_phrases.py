"""What chat programs write between the messages of people, and in the place of pictures and sounds."""

from __future__ import annotations

import re

LONGEST = 200  # characters of a line that a program writes
MARK = "\N{LEFT-TO-RIGHT MARK}"  # which WhatsApp on an iPhone puts before what it says itself
# What exports of WhatsApp have in the place of a picture, sound or file, some of them behind its name.
_OMITTED = """
<Media omitted>|<Medien ausgeschlossen>|<Médias omis>|<Multimedia omitido>|<Mídia oculta>
<Arquivo de mídia oculto>|<Media omessi>|<Media weggelaten>|<Без медиафайлов>|<Medya dahil edilmedi>
<Pominięto multimedia>|<Media tidak disertakan>
image omitted|video omitted|audio omitted|sticker omitted|GIF omitted|document omitted|video note omitted
Contact card omitted
Bild weggelassen|Video weggelassen|Audio weggelassen|Sticker weggelassen|GIF weggelassen
Dokument weggelassen|Kontaktkarte ausgelassen
image absente|vidéo absente|audio omis|sticker omis|GIF retiré|document manquant
imagen omitida|Video omitido|video omitido|audio omitido|sticker omitido|GIF omitido|documento omitido
imagem ocultada|áudio ocultado|vídeo omitido|figurinha omitida|GIF omitido|documento omitido
immagine omessa|audio omesso|video omesso|sticker omesso|GIF esclusa|documento omesso
afbeelding weggelaten|video weggelaten|audio weggelaten|sticker weggelaten|document weggelaten
изображение отсутствует|видео отсутствует|аудиофайл отсутствует|стикер отсутствует
görüntü dahil edilmedi|video dahil edilmedi|ses dahil edilmedi
"""
OMITTED = tuple(text for line in _OMITTED.split("\n") for text in line.split("|") if text)
# Behind a message that somebody changed.
_EDITED = """
<This message was edited>|<Diese Nachricht wurde bearbeitet.>|<Ce message a été modifié>
<Se editó este mensaje.>|<Mensagem editada>|<Questo messaggio è stato modificato>|<Dit bericht is bewerkt>
<Сообщение изменено>|<Bu mesaj düzenlendi>
"""
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
% changed the group name %|% changed the group photo.|% changed the group description%
% changed the theme %|% changed the chat theme %|% changed the group's icon%|% changed this group's icon%
% changed the subject %|% set the nickname for %|% set your nickname %|% set % own nickname %
% cleared % nickname%|% set the emoji to %|% set the quick reaction to %|% created the group%
% created this group%|% created group %|% added % to the group.|% added % to the chat.
% removed % from the group.|% removed % from the chat.|% left the group.|% left the chat.
% joined the group%|% joined the chat%|% joined using % invite link%|% has joined the channel
% has left the channel|% has joined the room|% has left the room|% joined the room.|% left the room.
% joined the channel.|% left the channel.|% joined the server.|Missed call|Missed call from %
% joined Telegram%|% turned on disappearing messages%|% turned off disappearing messages%
% set the disappearing message %|% pinned a message%|% unpinned a message%|% is now an admin%
% is no longer an admin%|You're now an admin%|Your security code with % changed%
% changed their phone number %|% took a screenshot%|% waved at you%
Messages and calls are end-to-end encrypted%|Messages to this % are now secured %
You can now message and call %|You are now connected on Messenger%|Say hi to your new Facebook friend%
This message was deleted%|You deleted this message%
"""
# The commonest of them in other languages.
_TRANSLATED = """
Nachrichten und Anrufe sind Ende-zu-Ende-verschlüsselt%|Du hast diese Nachricht gelöscht.
Diese Nachricht wurde gelöscht.|Verpasster Anruf%|Verpasster Sprachanruf%|Verpasster Videoanruf%
% hat die Gruppe verlassen.|% hat das Gruppenbild geändert.|% hat den Betreff % geändert%
% hat ein Foto gesendet.|% hat einen Anhang gesendet.|% ist der Gruppe %beigetreten%
Les messages et les appels sont chiffrés de bout en bout%|Ce message a été supprimé.
Vous avez supprimé ce message.|Appel manqué%|Appel vocal manqué%|Appel vidéo manqué%|% a quitté le groupe.
% a rejoint le groupe%|% a envoyé une photo.|% a envoyé une pièce jointe.|% a changé l'icône du groupe%
Los mensajes y las llamadas están cifrados de extremo a extremo%|Se eliminó este mensaje.
Eliminaste este mensaje.|Llamada perdida%|Llamada de voz perdida%|Videollamada perdida%|% salió del grupo.
% se unió usando el enlace %|% cambió el ícono %|% envió una foto.|% envió un archivo adjunto.
As mensagens e % são protegidas com a criptografia de ponta a ponta%|Mensagem apagada.
Essa mensagem foi apagada.|Você apagou esta mensagem.|Chamada perdida%|Chamada de voz perdida%
Chamada de vídeo perdida%|Ligação de voz perdida%|% saiu do grupo.|% entrou usando o link %
% mudou a imagem do grupo%|% enviou uma foto.|% enviou um anexo.
I messaggi e le chiamate sono crittografati end-to-end%|Questo messaggio è stato eliminato.
Hai eliminato questo messaggio.|Chiamata persa%|Chiamata vocale persa%|Videochiamata persa%
% ha abbandonato il gruppo.|% ha inviato una foto.|% ha inviato un allegato.
Berichten en oproepen worden end-to-end versleuteld%|Dit bericht is verwijderd.
U hebt dit bericht verwijderd.|Je hebt dit bericht verwijderd.|Gemiste oproep%|Gemiste spraakoproep%
Gemiste video-oproep%|% heeft de groep verlaten.|Данное сообщение удалено.|Вы удалили данное сообщение.
Пропущенный аудиозвонок%|Пропущенный видеозвонок%|Пропущенный звонок%|Bu mesaj silindi.
"""
_PATTERNS = [
    pattern for line in (_LINES + _TRANSLATED).strip().splitlines() for pattern in line.split("|") if pattern
]
_PATTERNS += [pattern[:-1] for pattern in _PATTERNS if pattern.endswith(".")]  # newer ones have no full stop

_SOUND_OR_PICTURE = (
    "jpe?g|png|webp|gif|heic|mp4|mov|3gp|opus|ogg|m4a|mp3|aac|wav|amr|pdf|docx?|xlsx?|pptx?|vcf|txt|zip"
)
_ANY_OMITTED = "|".join(map(re.escape, sorted(OMITTED, key=len, reverse=True)))
# A file by its name, `<attached: 00000012-PHOTO.jpg>` and `IMG-1.jpg (file attached)` in any language; what
# an export left out, in a line of its own or between signs; and that a message was changed.
_PLACEHOLDER = re.compile(
    rf"[ \t]*{MARK}?<[^\W\d][\w ]{{3,20}}: ?[^<>/\n]{{1,100}}\.(?:{_SOUND_OR_PICTURE})>"
    rf"|^{MARK}?[\w .()-]{{1,100}}\.(?:{_SOUND_OR_PICTURE}) \([^()\n\d]{{4,30}}\)[ \t]*$"
    rf"|^{MARK}?(?:[^\n]{{1,150}}{MARK}|\[)?(?:{_ANY_OMITTED})\]?[ \t]*$"
    rf"|[ \t]*\[(?:{_ANY_OMITTED})\]|[ \t]*(?:{'|'.join(re.escape(t) for t in OMITTED if t[0] == '<')})"
    rf"|[ \t]*{MARK}?(?:{'|'.join(re.escape(t) for t in _EDITED.replace(chr(10), '|').split('|') if t)})",
    re.MULTILINE,
)


def _matches(pattern: str) -> str:
    """A LIKE as a regular expression; whoever did it is no "I"."""
    first = r"(?!(?:I|We|i|we) )[^.!?\n]{1,60}" if pattern.startswith("%") else ""
    rest = pattern.removeprefix("%").split("%")
    return first + r"[^\n]{0,120}".join(map(re.escape, rest))


_LINE = [(pattern, re.compile(_matches(pattern), re.IGNORECASE)) for pattern in _PATTERNS]


def pattern_of(text: str) -> str:
    """The LIKE of what a program says, "" for what a person may have said. `text` has no MARK before it."""
    if not text or len(text) > LONGEST or "\n" in text:
        return ""
    return next((pattern for pattern, line in _LINE if line.fullmatch(text)), "")


def has_placeholders(text: str) -> bool:
    """Whether something is left out of a text that an export of a chat has put something else for, or it has
    the mark of a message that was changed."""
    return bool(_PLACEHOLDER.search(text))


def without_placeholders(text: str) -> str:
    return _PLACEHOLDER.sub("", text)
