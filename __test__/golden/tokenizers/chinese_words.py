"""Words of Chinese texts, by jieba: writes chinese-words.json.

Sentences and random texts of characters, words, marks and Latin letters, with and without new words. jieba-rs keeps numbers with several points,
and characters beyond U+FFFF in a row, together: neither is here.
"""

import json
import logging
import random

import jieba

jieba.setLogLevel(logging.ERROR)
jieba.initialize()
random.seed(20261204)
SENTENCES = [
    "我来到北京清华大学",
    "他来到了网易杭研大厦",
    "小明硕士毕业于中国科学院计算所，后在日本京都大学深造",
    "这是一个伸手不见五指的黑夜。我叫孙悟空，我爱北京，我爱Python和C++。",
    "我不喜欢日本和服。雷猴回归人间。工信处女干事每月经过下属科室都要亲口交代24口交换机等技术性器件的安装工作",
    "结婚的和尚未结婚的 结过婚的和尚未结过婚的",
    "“Microsoft”一词由“MICROcomputer（微型计算机）”和“SOFTware（软件）”两部分组成",
    "草泥马和欺实马是今年的流行词汇 伊藤洋华堂总府店 中国科学院计算技术研究所",
    "武汉市长江大桥 乒乓球拍卖完了 南京市长江大桥",
    "用户A于2023年10月1日以3.14%的价格购买了T恤，号码是192.168",
    "那些年，我們一起追的女孩；臺灣的「資訊科技」很先進。",
    "すしを食べる 東京に行きました。ガンダム 𠀀 𠮷野家 龥龦",
    "",
    " \n\t ",
]
WORDS = [word for word in jieba.dt.FREQ if jieba.dt.FREQ[word] > 50]
OTHER = list("，。！？、“”《》（）·… \n aB3.+#&%-_/") + ["iPhone", "3.5", "C++", "T恤", "すし", "ガ", "é", "é́", "👍🏽", "𠮷", "〇"]


def text():
    parts = []
    for _ in range(random.randint(1, 12)):
        kind = random.random()
        if kind < 0.55:
            parts.append(random.choice(WORDS))
        elif kind < 0.75:
            parts.append(chr(random.randint(0x4E00, 0x9FA5)))
        else:
            parts.append(random.choice(OTHER))
    return "".join(parts)


texts = SENTENCES + [text() for _ in range(600)]
cases = [[each, jieba.lcut(each), jieba.lcut(each, HMM=False)] for each in texts]
with open("chinese-words.json", "w", encoding="utf-8") as file:
    json.dump(cases, file, ensure_ascii=False, separators=(",", ":"))
    file.write("\n")
