"""Twenty questions whose subject the vocabulary does not know, each with an invented sentence that answers it."""

from __future__ import annotations

ASKED = {
    "Does subword vocabulary overlap improve transfer?": "Subword vocabulary overlap improves transfer by 2.0 points.",
    "Does label smoothing improve calibration of multilingual classifiers?": "With label smoothing calibration of "
    "multilingual classifiers improves.",
    "Does dropout in the embeddings reduce overfitting on small corpora?": "Dropout in the embeddings reduces "
    "overfitting on small corpora.",
    "Does transliteration into Latin script help unseen scripts?": "Transliteration into Latin script helps unseen "
    "scripts.",
    "How does tokenizer fertility affect translation quality?": "Higher tokenizer fertility lowers translation quality.",
    "Does code-switched pretraining improve sentence alignment?": "Code-switched pretraining improves sentence "
    "alignment by 3.1 points.",
    "Do morphological features predict parsing success?": "Morphological features help parsing success.",
    "Does gradient surgery reduce negative interference?": "Gradient surgery reduces negative interference.",
    "Is knowledge distillation harmful to rare scripts?": "Knowledge distillation hurts rare scripts.",
    "Does curriculum ordering by sentence length speed up convergence?": "Curriculum ordering by sentence length "
    "improves convergence.",
    "Does romanised social-media text hurt sentiment classification?": "Romanised social-media text hurts sentiment "
    "classification by 4.0 points.",
    "Does a gloss in the prompt help endangered languages?": "A gloss in the prompt helps endangered languages.",
    "Do visual encoders ground word meaning across cultures?": "Visual encoders improve grounding of word meaning "
    "across cultures.",
    "Does back-translation increase lexical diversity?": "Back-translation reduces lexical diversity.",
    "Does annotator disagreement lower the ceiling of hate-speech detection?": "Annotator disagreement lowers the "
    "ceiling of hate-speech detection.",
    "Does byte-level input make models robust to typos?": "Byte-level input improves how robust models are to typos.",
    "Does whitening of sentence vectors improve semantic retrieval?": "Whitening of sentence vectors improves semantic "
    "retrieval.",
    "Does temperature sampling change which language is forgotten?": "Temperature sampling reduces how much of a "
    "language is forgotten.",
    "Do speech transcripts help spoken question answering?": "Speech transcripts help spoken question answering.",
    "Does a bilingual dictionary help named entities in Quechua?": "A bilingual dictionary helps named entities in "
    "Quechua by 5.5 points.",
}
