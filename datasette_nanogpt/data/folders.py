"""Folders and labels of mail that nobody reads, in the words of several languages."""

from __future__ import annotations

import re

_UNREAD_NAMES = """
spam | junk | junk e-mail | junk email | bulk mail | trash | bin | recycle bin | deleted | deleted items
| deleted messages | recently deleted | draft | drafts | templates | spamverdacht | papierkorb | gelöscht
| gelöschte elemente | entwürfe | vorlagen | indésirables | courrier indésirable | corbeille
| éléments supprimés | brouillons | correo no deseado | papelera | elementos eliminados | borradores
| posta indesiderata | cestino | posta eliminata | bozze | lixo eletrônico | lixeira | itens excluídos
| rascunhos | ongewenst | ongewenste e-mail | prullenbak | verwijderde items | concepten | skräppost
| papperskorg | utkast | kosz | szkice | спам | корзина | удаленные | черновики | 垃圾邮件 | 已删除邮件
| 草稿箱 | 草稿 | 迷惑メール | ゴミ箱 | 下書き | 스팸함 | 휴지통 | 임시보관함
"""
_UNREAD = frozenset(name.strip() for name in _UNREAD_NAMES.split("|"))
_LEVELS = re.compile(r"[/\\.]")  # what stands between the levels of a folder: INBOX.Trash, [Gmail]/Spam


def is_unread_folder(label: str) -> bool:
    return _LEVELS.split(label)[-1].replace("_", " ").strip().casefold() in _UNREAD
