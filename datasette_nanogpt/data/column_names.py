"""How columns are named: the words for a title and a text in the larger languages, and what goes together."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from functools import lru_cache

import regex

# How titles and texts are usually named, best guess first; the case of letters and accents do not matter, and
# `post_title`, `postTitle` and `title_line` are found by their words. To add a guess, add its name here, and
# a row to `test_columns_are_found` in tests/test_columns.py.
# Among the bodies are only names that always mean the text itself. A `description` is chosen when it has the
# most text: beside a `readme` or a `transcript` it is the blurb.
_TITLES = """
title name headline subject heading
titre intitulé título asunto assunto titolo oggetto titlu títol
titel überschrift betreff onderwerp tittel rubrik overskrift otsikko
tytuł nagłówek temat název titulek nadpis naslov cím başlik τίτλος
заголовок название тема назва заглавие наслов
章节名 章節名 章名 回目
标题 標題 题目 題目 主题 主題 タイトル 題名 表題 見出し 件名 제목 표제
章节 章節 عنوان العنوان الموضوع כותרת נושא शीर्षक শিরোনাম தலைப்பு หัวข้อ ชื่อเรื่อง tiêu_đề judul tajuk pamagat
სათაური վերնագիր ርዕስ ርእስ ਸਿਰਲੇਖ શીર્ષક శీర్షిక ಶೀರ್ಷಿಕೆ തലക്കെട്ട് මාතෘකාව ခေါင်းစဉ် ចំណងជើង ຫົວຂໍ້ मथळा
virsraksts antraštė pavadinimas pealkiri titill teideal teitl izenburua titolua kichwa sarlavha тақырып гарчиг
загаловак сарлавҳа serlêhev سرخی titulli
song word headword lemma species_guess 作品名 書名 曲名 书名 歌名 诗名 篇名 片名 nombre nom 名称 名稱
"""
_BODIES = """
body content text html markdown body_html body_text message
texte contenu corps texto contenido cuerpo conteúdo corpo testo contenuto
inhalt volltext tekst inhoud innehåll brödtext innhold indhold sisältö teksti
treść obsah szöveg tartalom conținut metin içerik κείμενο
текст содержание содержимое сообщение зміст вміст съдържание
正文 内容 內容 全文 文本 本文 テキスト コンテンツ 본문 내용 텍스트
نص النص محتوى المحتوى المتن متن محتوا תוכן טקסט
पाठ सामग्री विषयवस्तु বিষয়বস্তু உள்ளடக்கம் เนื้อหา ข้อความ nội_dung văn_bản isi kandungan nilalaman
ტექსტი შინაარსი տեքստ բովանդակություն ጽሑፍ ጽሁፍ ይዘት ਪਾਠ ਸਮੱਗਰੀ સામગ્રી લખાણ వచనం పాఠ్యం విషయం ಪಠ್ಯ ವಿಷಯ പാഠം ഉള്ളടക്കം
අන්තර්ගතය စာသား អត្ថបទ ເນື້ອຫາ मजकूर teksts saturs tekstas turinys tekst sisu efni téacs testun testua edukia
maandishi matn mətn мәтін мазмұны текст мазмуны эх агуулга тэкст матн tekst teksti përmbajtja
"""
# A "name" is somebody's, unless the other word of the column's name is the table's, or one of these.
_NAMES = "name nombre nom 名称 名稱"
_NAMED_THINGS = """
article post page song track recipe book product movie film game event case paper poem story chapter episode
show video dish course album thread task issue common species plant animal
"""
# Of what a row may be, without what is often written there itself.
_THINGS = """
song track recipe book product movie film game event poem chapter episode show video dish course album task
drink cocktail meal
"""
_QUESTION = "question prompt instruction query 问题 問題 質問 질문 вопрос frage pregunta pergunta domanda"
_ANSWER = """answer answers response reply completion output chosen accepted_answer 答案 回答 答え 답변 ответ
antwort respuesta resposta risposta réponse"""
_DESCRIPTION = """
description beschreibung descripción descrição descrizione beschrijving beskrivning
beskrivelse kuvaus opis popis leírás descriere açiklama περιγραφή описание опис 描述 说明 説明 설명
وصف תיאור
"""
_INGREDIENTS = """
ingredients ingredient zutaten ingrédients ingredientes ingredienti ingrediënten ingredienser ainekset
ainesosat składniki ingredience suroviny hozzávalók sastojci sestavine ingrediente sastāvdaļas
ingredientai koostisosad malzemeler malzeme υλικά συστατικά ингредиенты інгредієнти съставки састојци
材料 食材 配料 原料 재료 مكونات المكونات المقادير מרכיבים מצרכים सामग्री উপকরণ ส่วนผสม วัตถุดิบ
nguyên_liệu bahan
"""
_STEPS = """
instructions directions steps preparation method zubereitung arbeitsschritte anleitung préparation étapes
preparación elaboración instrucciones pasos procedimiento preparo preparação instruções preparazione
procedimento istruzioni bereiding bereidingswijze werkwijze tillagning instruktioner fremgangsmåte
fremgangsmåde tilberedning valmistus valmistusohje przygotowanie przygotowania wykonanie postup příprava
elkészítés priprema priprava preparare pagatavošana paruošimas valmistamine hazirlanişi hazirlaniş yapilişi
yapiliş εκτέλεση παρασκευή приготовление приготовления приготування приготвяне 做法 步骤 步驟 作り方 手順
조리법 التحضير תהליך_הכנה הכנה विधि প্রণালী วิธีทำ cách_làm cách_nấu cara_membuat langkah
"""
# How the name of a column begins that is a question of a form, where it does not end in a question mark.
_INTERROGATIVES = """
what why how which who whose where when do does did is are was were would could should can will have has if
describe explain please tell share list rate
was wie warum welche welcher welches wer wo wann worin womit woran beschreiben bitte nennen
que quel quelle quels quelles comment pourquoi ou quand qui est decrivez expliquez
como cual cuales quien donde cuando describa explique por
o qual quais quem onde quando descreva explique
che cosa quale quali chi dove come perche descriva spieghi
wat welke waarom hoe wie waar wanneer beschrijf
что как почему какой какая какие кто где когда опишите расскажите
"""
# Columns that are read together, in this order, if at least two of them have text.
_TOGETHER = (
    f"context passage paragraph article story background | {_QUESTION} | input | option choice options "
    f"choices a | {_ANSWER} | explanation rationale",
    "message comment review | response reply answer",
    "intro_text | full_text",
    "body content text | accepted_answer answer reply response",
    "description | responsibilities | requirements qualifications | benefits",
    "user human | assistant bot",
    "q | a",
    "clue riddle | answer solution",
    "original source msgid src | translation translated target msgstr tgt trg",
    "front | back",
    "setup | punchline",
    "problem | solution",
    "question utterance | sql query",
    "summary | pros positive strengths advantages | cons negative weaknesses disadvantages | questions",
    "term idiom proverb phrase expression | definition meaning gloss | example examples",
    "artist singer band | lyrics lyric",
    f"{_DESCRIPTION} | {_INGREDIENTS} | {_STEPS}",
)
_LANGUAGES = """
en fr de es it pt nl sv pl cs ru uk tr ar he hi zh ja ko bg hr da et fi el hu ga lv lt mt ro sk sl no nb nn
is sq mk sr bs be ca eu gl cy ka hy az kk uz mn fa ur bn ta te ml kn gu mr pa ne si th lo my km vi id ms tl
sw am la eo yi english french german spanish italian portuguese dutch swedish polish czech russian ukrainian
turkish arabic hebrew hindi chinese japanese korean latin greek bulgarian croatian danish estonian finnish
hungarian irish latvian lithuanian maltese romanian slovak slovenian norwegian icelandic albanian serbian
catalan basque welsh georgian armenian persian urdu pali sanskrit tibetan aramaic syriac coptic amharic
bengali tamil telugu thai vietnamese indonesian malay swahili esperanto yiddish
eng deu ger fra fre spa ita por nld dut swe pol ces cze rus ukr tur ara heb hin zho chi cmn jpn kor
bul hrv dan est fin ell gre hun gle lav lit mlt ron rum slk slo slv nor nob nno isl sqi alb mkd srp
bos bel eus baq glg cym wel kat geo hye arm aze kaz uzb fas urd ben tam mal kan guj pan nep tha lao
mya khm vie ind msa tgl swa amh lat epo yid grc
"""
# What may stand before the body, one of each line, and after it, if it does not only repeat how the body
# begins.
_BEFORE_BODY = (
    "subtitle subheading standfirst dek chapeau vorspann entradilla 导语",
    """intro introduction lead lede summary excerpt abstract teaser résumé resumen resumo zusammenfassung
    einleitung riassunto samenvatting inleiding ingress ingressi streszczenie анонс аннотация özet περίληψη
    ملخص תקציר सारांश tóm_tắt ringkasan 摘要 要約 요약""",
    "salutation greeting",
)
_AFTER_BODY = ("more extended continued conclusion outro", "closing", "ps postscript")
# Words of columns that a program wrote about the text, and that nobody means to be read before it.
MACHINE_MADE = frozenset(["ai", "llm", "gpt", "chatgpt", "openai", "claude", "gemini", "generated", "auto"])
# Where lines, and not several sentences, have such a name, they are titles if there are no others.
LINES = (
    *("summary", "short_summary", "brief_summary", "short_description", "brief_description", "short_desc"),
    *("description", "subtitle"),
)

# Never the text where there is any other: the answer that people liked less, and where a row is to be found.
WORSE = ("rejected", "dispreferred")
PLACES = (
    *("path", "filepath", "file_path", "filename", "file_name", "slug", "permalink", "url", "uri", "link"),
    "href",
)

# Header fields that programs of mail write and nobody reads, as exports of mailboxes have them for columns.
_MAIL_HEADERS = """
dkim_signature domainkey_signature authentication_results arc_seal arc_message_signature
arc_authentication_results received received_spf return_path delivered_to envelope_to message_id in_reply_to
references mime_version content_type content_transfer_encoding content_disposition content_language
user_agent thread_index thread_topic list_id list_unsubscribe list_unsubscribe_post list_help list_archive
list_post list_subscribe list_owner feedback_id autocrypt precedence errors_to disposition_notification_to
"""

LANGUAGES = frozenset(_LANGUAGES.split())
_MORE = frozenset(["any", "other", "additional", "further", "more"])
_LETTERS, LETTERS = frozenset("abcdefgh"), ("a letter",)  # of answers to choose from, and the set of these
_REMARKS = frozenset(["comment", "comments", "feedback", "remarks", "suggestions", "thoughts", "notes"])
_NAMED_LAST = frozenset(["word", "song"])
_ORDINALS = frozenset(["first", "second", "third", "fourth", "fifth", "sixth"])
_FORMATS = frozenset(["html", "markdown", "md", "plain", "raw", "txt"])  # after the word that says what it is
# Words of tables and columns whose rows somebody took from longer texts.
_TAKEN = "highlight annotation bookmark clipping excerpt quote quotation flashcard"
TAKEN = frozenset(word + end for word in _TAKEN.split() for end in ("", "s"))
# Whose names are those of who wrote them, and not of a thing.
SAID = frozenset(word + end for word in ("tweet", "toot", "comment", "message", "chat") for end in ("", "s"))
KEY_WORDS = frozenset(["key", "id", "uuid", "guid", "hash"])  # in which the names of keys end: word_key
MIN_JOINED = 6  # characters of a name that may be written in two words
MIN_SENTENCE = 4  # words of a name that is a question of a form

QUESTIONS, INTERROGATIVES = tuple(_QUESTION.split()), frozenset(_INTERROGATIVES.split())
MAIL_HEADERS = frozenset(_MAIL_HEADERS.split())
TITLES, BODIES, NAMES = tuple(_TITLES.split()), tuple(_BODIES.split()), tuple(_NAMES.split())
NAMED_THINGS, THINGS = frozenset(_NAMED_THINGS.split()), frozenset(f"{_THINGS} deceased".split())
TOGETHER = tuple(tuple(tuple(slot.split()) for slot in slots.split("|")) for slots in _TOGETHER)
BEFORE_BODY = tuple(tuple(names.split()) for names in _BEFORE_BODY)
AFTER_BODY = tuple(tuple(names.split()) for names in _AFTER_BODY)

# The names that programs give to columns which have none.
_SAYS_NOTHING = regex.compile(
    r"(?:col(?:umn)?|field|f|c|v|x|var|attr|attribute|unnamed|spalte|feld|colonne|champ|columna|campo|coluna|colonna"
    r"|kolom|столбец|поле|колонка|列|字段|カラム)?[\s_:.-]*\d+|[a-z]",
    regex.IGNORECASE,
)
_CREDITS = regex.compile(
    r"\w*(?:creditlines?|provenance|copyright|rights|rightsandreproductions?|rightsholder|licen[sc]e|disclaimer"
    r"|courtesy(?:of)?|attribution|provenienz|provenienza|procedencia|herkomst)(?:text|notice|statement|html|line"
    r"|note)?"
)
_CAMEL = regex.compile(
    r"(?<=[\p{Ll}\p{Lo}\p{N}])(?=\p{Lu})|(?<=\p{Lu})(?=\p{Lu}\p{Ll})|(?<=\p{L})(?=\p{N})|(?<=\p{N})(?=\p{L}{2})"
)
_COMPOUND = regex.compile(r"(?<=\p{L}{3})(?<!con)(?=(?:text|tekst|html)(?!\p{L}))", regex.IGNORECASE)
_BETWEEN = regex.compile(r"[^\p{L}\p{N}]+")
_MARKS = regex.compile(r"\p{M}+")
_STROKES = str.maketrans(
    "đĐłŁøØ\N{LATIN SMALL LETTER DOTLESS I}", "dDlLoOi"
)  # that Unicode does not take apart
# Scripts without spaces: there the end of a name says what it is, or, where adjectives follow, the beginning.
_JOINED = regex.compile(r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Hangul}]+")
_JOINED_BEFORE = regex.compile(r"[\p{Thai}\p{Lao}\p{Khmer}]+")
_CORE_DATA = regex.compile(r"Z[A-Z0-9_]{2,}")  # Apple's programs put a Z before every name
# The table in which SQLite's FTS3 and FTS4 keep the texts of an index numbers its columns: c0subject, c1body.
# What a column holds, in databases of Access and their kin: strTitle, memText.
_HUNGARIAN = regex.compile(r"(?:str|txt|fld|mem)(?=\p{Lu}\p{Ll})")
_OF_FTS = regex.compile(r"c\d{1,2}(?=\p{L}{2})")


@lru_cache(4096)
def words_of(name: str) -> tuple[str, ...]:
    """The words of a column's name without case and accents: ("post", "title") for post_title, postTitle and
    "Post title", ("titulo",) for Título in either form of Unicode, ("intro", "text") for introtext."""
    plain = _MARKS.sub("", unicodedata.normalize("NFKD", name)).translate(_STROKES)
    if _CORE_DATA.fullmatch(plain):
        plain = plain[1:]
    prefix = _OF_FTS.match(plain) or _HUNGARIAN.match(plain)
    plain = plain[prefix.end() :] if prefix else plain
    words = _BETWEEN.split(_COMPOUND.sub(" ", _CAMEL.sub(" ", plain)).casefold())
    return tuple(filter(None, words)) or ("",)


def is_named(name: str, guess: str) -> bool:
    """Whether a column has that name, however its words are joined: "Head line" is a headline."""
    words, wanted = words_of(name), words_of(guess)
    return words == wanted or (len(guess) >= MIN_JOINED and "".join(words) == "".join(wanted))


def has_word(name: str, guess: str) -> bool:
    """Whether the name begins or ends with the word `guess`."""
    words, wanted = words_of(name), words_of(guess)
    if words[-1] in _FORMATS and words[-1] not in wanted and len(words) > 2:
        words = words[:-1]
    n, last = len(wanted), words[-1]
    if len(words) > n and wanted in (words[:n], words[-n:]):
        return len(guess) > 1
    if n > 1 or last == wanted[0]:
        return False
    if _JOINED_BEFORE.fullmatch(wanted[0]):
        return words[0].startswith(wanted[0])
    return bool(_JOINED.fullmatch(wanted[0])) and last.endswith(wanted[0])


def says_nothing(name: str) -> bool:
    """Whether the name of a column is only its place: Column 2, field3, B."""
    return bool(_SAYS_NOTHING.fullmatch(name.strip()))


def is_called_by(thing: str, table: str) -> bool:
    """Whether a table is called by its rows: monsters, species."""
    return any(word in _plurals(thing) for word in words_of(table)[-1:])


def is_mail_header(name: str) -> bool:
    """Whether a column is named as a header field of mail that is for programs: dkim-signature, X-Mailer."""
    return "_".join(words_of(name)) in MAIL_HEADERS or name.lower().startswith("x-")


def is_credit(name: str) -> bool:
    """Whether a column is named as what many rows have beside the text: whom to thank, who has the rights,
    where a thing was before."""
    return bool(_CREDITS.fullmatch("".join(words_of(name))))


def set_of(name: str) -> tuple[str, ...]:
    """To which set of columns a name belongs that are all alike: languages, the questions of a form, or names
    that end or begin with a language, end in a number or a letter, have a number in them, or begin with an
    ordinal, such as text_fr, option_a, q12_text and first_line; () for other names."""
    if says_nothing(name) and name.strip()[-1].isdigit():  # letters are those of answers
        return ()
    *stem, last = words_of(name)
    if not stem:
        return ("a language",) if last in LANGUAGES else LETTERS if last in _LETTERS else ()
    is_sentence = len(stem) >= MIN_SENTENCE - 1 or name.rstrip().endswith("?")
    if _asks_for_more(name) or (" " in name.strip() and is_sentence):
        return ("a question",)
    if last in LANGUAGES:
        return (*stem, "a language")
    if stem[0] in LANGUAGES:
        return ("a language", *stem[1:], last)
    if stem[0] in _ORDINALS:
        return ("", *stem[1:], last)
    if last.isdecimal() or len(last) == 1:
        return (*stem, "")
    numbered = ["" if word.isdecimal() else word for word in stem]
    return (*numbered, last) if numbered != stem else ()


def is_question(name: str) -> bool:
    """Whether a column is called by the question that it answers, as in tables of forms."""
    plain = name.strip().rstrip("*: ")
    if " " not in plain and not _JOINED.fullmatch(plain.rstrip("?\uff1f")):
        return False
    words = words_of(plain)
    if _asks_for_more(name):
        return True
    asked = plain.endswith(("?", "\uff1f", "\u061f", "\u037e"))
    return asked or (len(words) >= MIN_SENTENCE and words[0] in INTERROGATIVES)


def _asks_for_more(name: str) -> bool:
    """Whether a column of a form has what people said beyond its questions: "Any other comments"."""
    words = words_of(name)
    return " " in name.strip() and words[0] in _MORE and not _REMARKS.isdisjoint(words[1:])


def named(guesses: Iterable[str], names: Sequence[str], table: str = "") -> list[str]:
    """Those of `names` that are named as one of `guesses`: whole names first, then words of names.

    A "name" with another word is somebody's else, unless the other word is the table's: `recipe_name`.
    """
    whole = [name for guess in guesses for name in names if is_named(name, guess)]
    by_word = [
        name
        for guess in guesses
        for name in sorted(names, key=lambda name: len(words_of(name)))
        if has_word(name, guess)
        and (guess not in NAMES or _is_of_table(name, guess, table))
        and (guess not in _NAMED_LAST or words_of(name)[-1] == guess)  # word_meaning is no word
    ]
    return list(dict.fromkeys([*whole, *by_word]))


def _is_of_table(name: str, guess: str, table: str) -> bool:
    words = words_of(name)
    thing = words[-1] if words[0] == words_of(guess)[0] else words[0]  # as in "nombre del producto"
    return thing in NAMED_THINGS or any(word in _plurals(thing) for word in words_of(table))


def _plurals(thing: str) -> tuple[str, ...]:
    return thing, f"{thing}s", f"{thing}es", f"{thing[:-1]}ies"
