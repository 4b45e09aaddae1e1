"""MASSIVE: what a user wants of a voice assistant, one of 60 intents, in 51 languages (FitzGerald et al. 2023, ACL).

A file has all splits of a language, each row with the name of its own. Chinese is the mainland's; Taiwan's is left out.
Catalan is in version 1.1 only.
"""

from xstilts.data.source import Source
from xstilts.tasks.base import Task

LOCALES = (
    "af-ZA am-ET ar-SA az-AZ bn-BD ca-ES cy-GB da-DK de-DE el-GR en-US es-ES fa-IR fi-FI fr-FR he-IL hi-IN hu-HU hy-AM "
    "id-ID is-IS it-IT ja-JP jv-ID ka-GE km-KH kn-IN ko-KR lv-LV ml-IN mn-MN ms-MY my-MM nb-NO nl-NL pl-PL pt-PT ro-RO "
    "ru-RU sl-SL sq-AL sv-SE sw-KE ta-IN te-IN th-TH tl-PH tr-TR ur-PK vi-VN zh-CN"
)
NAMES = {locale.partition("-")[0]: locale for locale in LOCALES.split()}
SPLITS = {"train": "train", "validation": "dev", "test": "test"}
ARCHIVES = ("amazon-massive-dataset-1.1.tar.gz/1.1/data", "amazon-massive-dataset-1.0.tar.gz/1.0/data")

task = Task(
    name="massive",
    format="classification",
    languages=tuple(NAMES),
    labels=(
        *("datetime_query", "iot_hue_lightchange", "transport_ticket", "takeaway_query", "qa_stock", "general_greet"),
        *("recommendation_events", "music_dislikeness", "iot_wemo_off", "cooking_recipe", "qa_currency"),
        *("transport_traffic", "general_quirky", "weather_query", "audio_volume_up", "email_addcontact"),
        *("takeaway_order", "email_querycontact", "iot_hue_lightup", "recommendation_locations", "play_audiobook"),
        *("lists_createoradd", "news_query", "alarm_query", "iot_wemo_on", "general_joke", "qa_definition"),
        *("social_query", "music_settings", "audio_volume_other", "calendar_remove", "iot_hue_lightdim"),
        *("calendar_query", "email_sendemail", "iot_cleaning", "audio_volume_down", "play_radio", "cooking_query"),
        *("datetime_convert", "qa_maths", "iot_hue_lightoff", "iot_hue_lighton", "transport_query", "music_likeness"),
        *("email_query", "play_music", "audio_volume_mute", "social_post", "alarm_set", "qa_factoid", "calendar_set"),
        *("play_game", "alarm_remove", "lists_remove", "transport_taxi", "recommendation_movies", "iot_coffee"),
        *("music_query", "play_podcasts", "lists_query"),
    ),
    metric="accuracy",
    sources=(
        *(
            Source(
                "jsonl",
                {split: f"{folder}/{{language}}.jsonl"},
                columns={"text_a": "utt", "label": "intent"},
                options={"where": ("partition", name)},
                names=NAMES,
            )
            for folder in ("targets/massive", "1.1/data", "1.0/data", *ARCHIVES)
            for split, name in SPLITS.items()
        ),
        Source(
            "parquet",
            {split: f"hub/AmazonScience/massive/{{language}}/{split}/*.parquet" for split in SPLITS},
            columns={"text_a": "utt", "label": "intent"},
            names=NAMES,
            revision="refs/convert/parquet",
        ),
    ),
    counts={"train": 11514, "validation": 2033, "test": 2974},
    citation="FitzGerald et al. 2023, MASSIVE: A 1M-Example Multilingual Natural Language Understanding Dataset with "
    "51 Typologically-Diverse Languages, ACL, arXiv 2204.08582",
    licence="CC BY 4.0",
)
