"""Names for the demo's people, by region. Put together at random, they mean nobody."""

from random import Random
from typing import Final, NamedTuple


class _Pool(NamedTuple):
    given: list[str]
    family: list[str]


def _pool(given: str, family: str) -> _Pool:
    return _Pool(given.split(), family.split())


_POOLS: Final = {
    "africa": _pool(
        "Amara Bongani Chipo Dineo Efua Farai Jabari Kwame Lerato Makena Naledi Odhiambo Sipho Thandi Wanjiru Zola",
        "Achieng Bekele Dlamini Kamau Khumalo Mensah Mokoena Mutasa Ndlovu Njoroge Nkosi Okafor Owusu Sithole",
    ),
    "anz": _pool(
        "Aroha Bronte Callum Darcy Ella Finn Georgia Hamish Isla Jarrah Kiri Lachlan Matilda Nikau Poppy Tane",
        "Ashby Blackett Carmody Denholm Fairweather Gilchrist Harawira Kearney Lockyer Maddock Ngata Parata Rowley",
    ),
    "brazil": _pool(
        "Ana Bruno Caio Daniela Eduardo Fernanda Gustavo Heloísa Igor Júlia Larissa Mateus Natália Otávio Renata",
        "Almeida Barbosa Cardoso Duarte Esteves Figueira Guimarães Lacerda Moreira Nogueira Pacheco Queiroz Teles",
    ),
    "east-asia": _pool(
        "Aiko Daichi Emi Haruto Kaori Kenji Mei Naoki Ren Sakura Takumi Yui Jia Wei Xin Hui",
        "Aoki Endo Fujita Hayashi Ishii Kuroda Matsuda Nishimura Ogawa Sakai Uchida Chua Goh Koh Lim Teo",
    ),
    "france": _pool(
        "Agathe Baptiste Camille Damien Élodie Florent Gaëlle Hugo Inès Julien Léa Mathis Noémie Quentin Romane",
        "Aubry Besson Carpentier Delmas Fournel Garnier Hamon Jacquet Lemoine Marchal Perrin Rolland Tessier",
    ),
    "germany": _pool(
        "Anke Bastian Carla Dieter Elif Frieda Gregor Hanna Ingo Jule Kathrin Lukas Merle Nils Ronja Tobias",
        "Albers Brandt Cordes Dressler Eggers Frerichs Gerdes Harms Jansen Kessler Lindner Menzel Oltmann Rieger",
    ),
    "gulf": _pool(
        "Aisha Bilal Dana Fahad Hala Ibrahim Jawad Khalid Layla Mariam Nasser Omar Rania Salma Tariq Yasmin",
        "Al-Amiri Al-Farsi Al-Hashimi Al-Najjar Al-Qasim Al-Rashid Barakat Darwish Haddad Khoury Mansour Saleh",
    ),
    "iberia": _pool(
        "Adriana Álvaro Beatriz Carmen Diego Elena Hugo Irene Javier Lucía Marcos Nuria Óscar Pilar Rubén Sara",
        "Aguilar Benítez Calvo Domínguez Esteban Fuentes Gallego Herrero Ibáñez Lozano Montero Navarro Pascual",
    ),
    "india": _pool(
        "Aarav Bhavna Chetan Deepa Esha Farhan Gauri Harish Ishaan Kavya Lakshmi Manoj Nisha Pranav Ritu Suresh",
        "Acharya Bhat Chauhan Desai Gokhale Iyer Joshi Kulkarni Menon Nair Pillai Rao Saxena Thakur Varma",
    ),
    "nordic": _pool(
        "Anders Birgit Calle Dagny Einar Freja Gustav Hedda Ingrid Jonas Karin Liv Magnus Nora Oskar Signe",
        "Almqvist Berglund Dahl Ekström Falk Granlund Hagen Isaksen Kvist Lindahl Moe Nyström Rask Solberg Wiklund",
    ),
    "north-america": _pool(
        "Alicia Brandon Carmen Derek Elise Frank Grace Hector Imani Jordan Kelsey Luis Monique Nathan Priya Wade",
        "Abernathy Boone Castillo Drummond Ellison Fontaine Grady Hollis Kincaid Lockhart Medina Ortega Pruitt "
        "Ramsey Sandoval Whitlock",
    ),
    "poland": _pool(
        "Agnieszka Bartosz Celina Dawid Ewa Filip Grażyna Hubert Iga Jakub Kinga Łukasz Marta Norbert Ola Paweł",
        "Adamczyk Baran Chmiel Dudek Gajda Jasiński Kalinowski Lis Malec Nowicki Olszewski Pietrzak Rogala",
    ),
    "britain": _pool(
        "Adele Barnaby Cerys Dominic Eleri Fergus Gemma Harriet Imogen Jonty Kirsty Leo Morag Nadia Rhys Tamsin",
        "Aldridge Birtwistle Cotterill Dunmore Ellery Garside Haldane Inskip Kirkbride Lorimer Pemberton Rowntree",
    ),
}
_PLAIN: Final = str.maketrans("áàâäãåçéèêëíìîïñóòôöõøúùûüýłńśźżćęą", "aaaaaaceeeeiiiinoooooouuuuylnszzcea")


def draw_name(region: str, rng: Random) -> str:
    """A given and a family name of the region."""
    pool = _POOLS[region]
    return f"{rng.choice(pool.given)} {rng.choice(pool.family)}"


def address_of(name: str, domain: str) -> str:
    """The mail address of that person there: plain small letters."""
    return f"{name.lower().translate(_PLAIN).replace(' ', '.')}@{domain}"
