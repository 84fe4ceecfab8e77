"""What storyboard panels can show as a pictogram, by emoji: the same idea in every language. The well has no emoji.

Concrete, drawable things only. ``kind`` says how one is drawn and where it stands:

- ``person``  a head that gets a robe below it
- ``head``    an animal's head that gets a sitting body
- ``beast``   a whole animal on the ground
- ``thing``   stands on the ground
- ``plant``   grows from the ground
- ``house``   a building, behind the others
- ``swimmer`` an animal in the water, where there is some
- ``boat``    on the water, where there is some
- ``flyer``   an animal in the air
- ``aloft``   anything else in the air
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

SIZES = (0.2, 0.25, 0.31, 0.37, 0.43)
"""Heights, in units, of sizes 1 to 5: a thing in the hand, a small animal, a child, a grown-up, a house."""


@dataclass(frozen=True)
class Concept:
    """``size`` 1..5; ``color`` of the body by day, six hexadecimal digits."""

    emoji: str
    kind: str
    size: int
    color: str


TABLE = """
person 4 5b7fa6 🧑 👨 👮 💂 👷 🧑‍🔧 🧑‍✈️ 🧑‍🚒 🧑‍🔬 🧑‍⚕️
person 4 b5654a 👩 👰 🧕 🧑‍🍳 🧑‍🎨 🧑‍🎤
person 4 7d6a8f 👴 🧓 🕵 🧙 🧛 🧑‍🎓 🧑‍⚖️ 🧑‍🏫
person 4 8a5a72 👵
person 4 6f8a4e 🧑‍🌾 🧝 🧔 👳
person 4 8e2f4a 🫅 🤴 🎅
person 4 c77d9b 👸
person 3 c9974a 🧒 🧑‍🚀
person 3 4f8a8b 👦
person 3 d0687a 👧
thing  2 e8c9a8 👶
flyer  2 f0d9e4 🧚 👼
swimmer 3 a8cfc0 🧜 🤽
thing  4 8fa78c 🧌 🧟 👹
thing  3 e9e6f2 👻 🧞 👽 🤖 ⛄
head   4 d9a24a 🦁
head   3 86b35a 🐸
head   4 8c6a4c 🐻
head   4 e8e4da 🐻‍❄️ 🐼
head   3 9a9a94 🐨 🐺
head   3 d9803f 🦊
head   4 d9a24a 🐯
head   4 6a4f3e 🫎
head   3 8a6a4a 🐗
beast  2 b9b2ac 🐁 🐀 🦡 🦝
beast  3 a98a62 🐒 🦍 🦧 🐕 🦮 🐩
beast  3 c99a62 🐈 🦘 🦥 🦦 🦫
beast  3 4a4650 🐈‍⬛ 🦨
beast  4 d9a24a 🐅 🐆
beast  4 a5744a 🐎 🫏 🐂 🦬 🐃 🦌 🦄
beast  4 f0ece2 🐄 🐑 🐏 🐐 🦙 🦓
beast  3 eab2a6 🐖
beast  4 d2a869 🐪 🐫 🦒
beast  5 9aa0a8 🐘 🦏 🦣 🦛
beast  2 cdbba6 🐇 🐹 🐿 🦔
beast  3 f2efe6 🐓 🪿 🦃
beast  2 f2d05c 🐤 🐥 🐣
beast  3 6f9fc4 🐦 🦜 🦚 🦤
beast  3 34323c 🐦‍⬛
beast  2 8a6d50 🦉
beast  3 3d4450 🐧
beast  4 e79aa5 🦩
beast  3 7fa35a 🐢 🦎 🐊 🐍 🐛 🐉 🦕 🦖
beast  2 c9a06a 🐌 🦗 🐜 🪲 🐞 🕷 🦂 🪱
beast  3 d9653f 🦀 🦞
flyer  3 8a6a52 🦅 🦇
flyer  3 f4f1ea 🕊
flyer  2 e9b84a 🐝 🦋 🪰 🦟
swimmer 3 f2efe6 🦢 🦭
swimmer 3 b98a52 🦆
swimmer 4 6d93b5 🐋 🐳 🐬 🦈
swimmer 3 e5925a 🐟 🐠 🐡 🐙 🦑 🪼 🦐
boat   4 c9855a ⛵ 🛶 🚤 🚢 🛥 ⛴ 🚣
plant  5 6f9a55 🌳 🌲 🌴 🎄 🪾
plant  3 79a85a 🌱 🌵 🌿 ☘ 🍀 🪴 🎋 🌾 🥬 🥦
plant  3 e58aa0 🌷 🌹 🌺 🌸 💐 🥀 🪻 🪷 🌼
plant  3 f0c04a 🌻
plant  2 d0624f 🍄
plant  2 d39a55 🍁 🍂 🍃
thing  2 d9544f 🍏 🍓 🍒 🍅 🌶
thing  2 e9a13f 🍊 🥕 🎃 🍑 🥭 🏀
thing  2 f0d46a 🍋 🍌 🧀 🌽 🍯 🧈 🍍
thing  2 9bbb5a 🍐 🥒 🍈 🫛 🫒 🥑 🍉
thing  2 8a6aa0 🍇 🍆 🫐
thing  3 d8c3d2 🫜
thing  2 d2a565 🍞 🥖 🥐 🥨 🥔 🥜 🌰 🍪 🥧 🥞 🫓 🧅 🧄 🥥
thing  2 f4ead6 🥚 🍚 🍙 🥛 🎂 🍰 🧁 🍨 🧂
thing  2 c46a52 🍖 🍗 🥩 🥓
thing  2 c9b08c 🍲 🥣 🍜 🥘 🍵 ☕ 🫖 🍽 🍳
thing  2 a8c8d6 🍷 🍺 🍾 🥤 🧊 🔮 💎 🫙 🥃 🍼
thing  3 c77f52 🏺
house  4 b8aa9a well
thing  2 b8aa9a 🪨
thing  2 a9794f 🪵 🧺 🪣 🛢 📦 🧳 🎒 🚪 🪑 🪜 🛖
thing  2 e5c45a 🪙 💰 🔑 🗝 🔔 🏆 🥇 💍 📯 👑 🎺 ⚱
thing  2 e9d9a8 📜 📖 📚 🗺 ✉ 💌 📰 🖼 📓
thing  2 f2b45c 🕯 🪔 🏮 💡 🔦
thing  3 ee8a3f 🔥
thing  2 d99a4a 🎻 🎸 🪕 🪈 🥁 🎹 🪗
thing  2 b9bec6 🗡 ⚔ 🛡 🏹 🪓 🔨 ⚒ 🪚 🔧 ⚙ ⚓ 🔪 ✂ 🪝 ⛏ 🥄 🔭 🧲 ⛓ 🔒 🪡 🎣 ⛸ 🛷 🎿
thing  2 c98f9a 🧵 🧶 🎁 🎀 🧸 🪆 🎈 🪁 🧦 🧤 🧣 🧢 👒 🎩 👗 👕 👖 🧥 👢 👞 🥾 👠 ☂ 🌂 ⛱ 👛 👜 👓
thing  2 cfc0a4 🪢 🕸 🥅 🪶 🪺 🪹 🐚 🦴 🪮 🧹 🛏 🛁 🪞 🧻 🧱
thing  2 bfc6d0 ⌚ ⏰ ⏳ 🕰 📷 📺 📻 💻 📱 ☎ 🎥 🎤 🧭
thing  2 e0b060 ⚽ 🎲 🪀 🎨 🖌 ✏ 🖊 🧩 🎯 🏐 🎳
thing  3 d96a55 🚲 🛴 🛵 🏍
house  4 d96a55 🚗 🚕 🚌 🚒 🚚 🚜 🚂 🚃 🚋 🚑 🚓 🚐
thing  3 c99a5a 🛒 🎠 ⛺ ⛲ 🎪 🪤
house  5 e2c79a 🏠 🏡 🏚 🏘 🛖
house  5 cfc6b8 🏰 🏯 ⛪ 🕌 🛕 🕍 🏛 🏫 🏥 🏭 🏢 🏨 🏦 🎡
aloft  2 f2e3a0 ⭐ 🌟 ☄ 🎆
aloft  3 d6dde6 ✈ 🛩 🚁 🚀 🛸 🛰 🪂 🎏
aloft  3 eac86a 🌈
"""
# One line is a kind, a size, a colour and emoji. A later line wins over an earlier one.

WEATHER = "☀ 🌞 🌝 🌕 🌙 🌛 🌧 🌨 ⛈ 🌩 🌪 🌫 🌊 ❄ ☁ ☔ ⚡"
"""Emoji whose words the landscape shows: STANDS_FOR says as what."""

STANDS_FOR = {
    "🌊": "sea", "🏖": "sea", "🏝": "sea", "⛰": "mountains", "🏔": "mountains", "🗻": "mountains", "🌋": "mountains",
    "🏜": "desert", "🏙": "city", "🌆": "city", "🌃": "night", "🌌": "night", "🌙": "moon", "🌕": "moon",
    "🌧": "rain", "🌨": "snow", "❄": "snow", "⛈": "storm", "🌩": "storm", "🌪": "storm",
    "🌫": "mist", "🌁": "mist", "☀": "sun", "☁": "clouds", "🌅": "dawn", "🌄": "dawn", "🌇": "sunset", "🏞": "river",
    "🍎": "🍏", "🐭": "🐁", "🐴": "🐎", "🐷": "🐖", "🐰": "🐇", "🐲": "🐉",
}  # fmt: skip
"""Emoji -> the landscape's own word for it (see _scene.py), or a better drawing of the same."""


@functools.cache
def concepts() -> dict[str, Concept]:
    """Every pictogram by its emoji, without variation selectors."""
    found: dict[str, Concept] = {}
    for line in TABLE.split("\n"):
        kind, size, color, *emojis = line.split() or ("", "", "")
        found |= {plain(emoji): Concept(plain(emoji), kind, int(size), color) for emoji in emojis}
    return found


WRITTEN_KIND, WRITTEN_SIZE, WRITTEN_COLOR = "thing", 2, "f2c94c"
"""How an emoji is drawn that only the text itself can name, such as a smile."""


def concept_of(name: str) -> Concept | None:
    """What is drawn of an emoji, or of the well; nothing of the landscape's own words (sea, dawn)."""
    if name.isascii() or name in concepts():
        return concepts().get(name)
    return Concept(name, WRITTEN_KIND, WRITTEN_SIZE, WRITTEN_COLOR)


def plain(emoji: str) -> str:
    """An emoji without the selectors that only choose between text and picture."""
    return emoji.replace("\N{VARIATION SELECTOR-16}", "")
