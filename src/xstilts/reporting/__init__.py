"""Reports of studies: `report.json` (`study_report`), its pages (`study_page`), and how a study makes both."""
