"""How columns are called in other languages that say who wrote a row, where it belongs, when it was written,
and in which state it is; and these states. English names stand with what looks for them."""

from __future__ import annotations

from .column_names import words_of

_SPEAKERS = """
absender verfasser autor autorin sprecher benutzer nutzername benutzername
auteur expéditeur émetteur utilisateur pseudo orateur
remitente emisor autora usuario nombre_usuario ponente
remetente usuário
mittente autore utente
afzender schrijver gebruiker spreker
nadawca użytkownik mówca odesílatel uživatel
avsändare författare användare afsender forfatter avsender
отправитель автор пользователь отправил
відправник користувач
gönderen yazar kullanici
发送者 发送人 发件人 作者 用户 用户名 昵称 說話者 寄件者 發送者 暱稱
送信者 差出人 投稿者 著者 ユーザー ユーザー名 発言者
보낸사람 발신자 작성자 사용자
المرسل الكاتب المستخدم
"""
_CONVERSATIONS = """
gespräch gespraech unterhaltung konversation chatverlauf kanal sitzung
discussion fil salon canal séance
conversación hilo canal sala sesión
conversa
conversazione discussione canale
gesprek kanaal
rozmowa wątek konwersacja kanał konverzace
samtal samtale
чат беседа разговор диалог переписка канал
розмова бесіда
sohbet konuşma
会话 对话 聊天 群聊 群 频道 會話 對話 聊天室
会話 チャット トーク チャンネル
대화 대화방 채팅 채팅방
محادثة
kapitel chapitre capítulo capitolo hoofdstuk rozdział kapitola глава bölüm 章节 章節 章 장
gedicht lied szene poème chanson scène poema canción escena canção cena poesia canzone scena
wiersz piosenka стихотворение песня сцена
"""
_TIMES = """
zeit zeitpunkt zeitstempel datum uhrzeit gesendet erstellt
date heure horodatage envoyé
fecha hora enviado creado
data horário
ora inviato
tijd tijdstip verzonden
czas wysłano čas
tidpunkt
время дата отправлено создано час
zaman tarih saat
时间 发送时间 创建时间 日期 發送時間 時間
日時 送信日時 投稿日時 日付 時刻
시간 날짜 일시
"""
_STATES = """
statut état estado situación situação stato stan stav zustand durum статус состояние 状态 狀態 ステータス 상태
"""
_UNREAD = """
entwurf | papierkorb | gelöscht | geloescht | versteckt | privat | unveröffentlicht | archiviert
| brouillon | corbeille | supprimé | caché | masqué | privé | indésirable | non publié | archivé
| borrador | papelera | eliminado | borrado | oculto | privado | archivado | no publicado
| rascunho | lixeira | excluído | apagado | oculto | privado | arquivado
| bozza | cestino | eliminato | nascosto | privato | archiviato
| prullenbak | verwijderd | verborgen | privé | gearchiveerd
| szkic | kosz | usunięty | usunięte | ukryty | prywatny | koncept | smazáno
| utkast | papperskorg | raderad | udkast | kladde | slettet
| черновик | корзина | удалено | удален | удалён | скрыто | скрыт | спам | чернетка | видалено
| taslak | silindi | silinmiş | gizli | çöp
| 草稿 | 已删除 | 已刪除 | 回收站 | 垃圾 | 隐藏 | 隱藏 | 私密 | 未发布
| 下書き | ゴミ箱 | 削除済み | 削除済 | 非公開 | 非表示
| 임시저장 | 임시글 | 삭제 | 삭제됨 | 비공개
"""
_YES, _NO = (
    "ja oui sí si sim да tak evet 是 はい 예",
    "nein non no não nee нет nie hay\N{LATIN SMALL LETTER DOTLESS I}r 否 いいえ 아니오",
)


def _names(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys("_".join(words_of(name)) for name in text.split()))


SPEAKERS, CONVERSATIONS, TIMES = _names(_SPEAKERS), _names(_CONVERSATIONS), _names(_TIMES)
STATES = frozenset(_names(_STATES))
UNREAD = frozenset(state.strip() for state in _UNREAD.split("|"))
YES, NO = frozenset(_YES.split()), frozenset(_NO.split())
