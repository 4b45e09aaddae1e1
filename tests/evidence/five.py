"""The five questions of the reports that are to be made better, with what to search for and to mention."""

from __future__ import annotations

from xstilts.evidence.claims.question import parse_question
from xstilts.evidence.search.queries import search_queries, topic_groups

ASKED = {
    "cost": "How does the computational efficiency (training time, memory usage) of intermediate-task training scale with"
    " model size when applied to non-English languages compared to English on the XTREME-R benchmark?",
    "batch": "Does increasing the batch size during intermediate-task fine-tuning improve zero-shot cross-lingual transfer"
    " on XTREME-R, and how does it compare to standard batch sizes in terms of accuracy and inference efficiency?",
    "languages": "What is the impact of combining multiple non-English intermediate tasks from diverse languages on"
    " zero-shot cross-lingual transfer performance in the XTREME benchmark for models between 1B and 10B parameters,"
    " compared to using only English intermediate tasks?",
    "layers": "Does layer-wise intermediate-task fine-tuning (e.g., only fine-tuning specific transformer layers) improve"
    " efficiency and zero-shot cross-lingual transfer performance in XTREME-R compared to full-model fine-tuning?",
    "size": "Does the scaling of model size affect the effectiveness of English intermediate-task training for zero-shot"
    " cross-lingual transfer on XTREME-R?",
}
QUESTIONS = {
    name: (search_queries(parse_question(text)), topic_groups(parse_question(text))) for name, text in ASKED.items()
}
