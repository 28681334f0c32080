generator_version 5
-- lane 0, operation 0: delete on public.people
DELETE FROM "public"."people" AS t WHERE t."id" = $1::bigint
  -- "3"
-- lane 0, operation 1: insert on public.people
INSERT INTO "public"."people" AS t ("id", "email", "mood", "born", "tags") VALUES ($1, $2, $3, $4, $5), ($6, $7, $8, $9, $10), ($11, $12, $13, $14, $15), ($16, $17, $18, $19, $20)
  -- "7", "abdul.turcotte.0gtcj@yahoo.com", "bad", "2006-04-10", "{}", "11", "penelope.carter-dickens47.4gtcj@gmail.com", "bad", "3603-03-23", "{\"Jewelry\",\"Music\",\"Automotive\",\"Kids\"}", "15", "alivia_gottlieb54.8gtcj@yahoo.com", "bad", "2017-09-15", "{\"Books\",\"Clothing\",\"Clothing\",\"Baby\"}", "19", "gianni1.12gtcj@yahoo.com", "bad", "2004-11-11", "{NULL,\"Music\",\"Games\",\"Automotive\",\"Jewelry\"}"
-- lane 0, operation 2: insert on public.people
INSERT INTO "public"."people" AS t ("id", "email", "mood", "born", "tags") VALUES ($1, $2, $3, $4, $5), ($6, $7, $8, $9, $10), ($11, $12, $13, $14, $15), ($16, $17, $18, $19, $20)
  -- "23", "vincenzo_schiller63.16gtcj@yahoo.com", "fine", "2010-01-21", "{\"Jewelry\",\"Jewelry\",\"Toys\",\"Computers\"}", "27", "edwina.kutch.20gtcj@yahoo.com", "fine", "2005-01-05", "{\"Jewelry\",\"Kids\",\"Tools\",\"Grocery\",\"Industrial\"}", "31", "oliver57.24gtcj@yahoo.com", "bad", "2024-03-24", "{\"Sports\"}", "35", "ulises_dickinson.28gtcj@yahoo.com", "bad", "2023-03-24", "{\"Sports\",\"Tools\",\"Games\",\"Home\",NULL}"
-- lane 0, operation 3: insert on public.pets
INSERT INTO "public"."pets" AS t ("person", "nr", "name", "weight") VALUES ($1, $2, $3, $4), ($5, $6, $7, $8), ($9, $10, $11, $12), ($13, $14, $15, $16)
  -- "2", "1", "Moshe Cummerata", "613.69", "2", "3", "Demond Smith", NULL, "2", "5", "London Stanton", NULL, "2", "7", "Eloise Howell", "-433.73"
-- lane 0, operation 4: insert on public.people
INSERT INTO "public"."people" AS t ("id", "email", "mood", "born", "tags") VALUES ($1, $2, $3, $4, $5), ($6, $7, $8, $9, $10), ($11, $12, $13, $14, $15), ($16, $17, $18, $19, $20)
  -- "39", "corine72.32gtcj@gmail.com", "fine", "2016-10-20", NULL, "43", "kirsten91.36gtcj@gmail.com", "bad", "2012-07-21", "{\"Jewelry\",\"Automotive\",\"Electronics\",\"Beauty\",\"Outdoors\"}", "47", "jerel.pfannerstill.40gtcj@hotmail.com", "fine", "2005-01-08", "{\"Shoes\"}", "51", "evalyn67.44gtcj@gmail.com", "fine", "2009-07-14", NULL
-- lane 0, operation 5: update on public.people
UPDATE "public"."people" AS t SET "email" = $1, "mood" = $2, "born" = $3 WHERE t."id" = $4::bigint
  -- "desiree_greenfelder.2gtcj@gmail.com", "fine", "2014-12-01", "35"
UPDATE "public"."people" AS t SET "email" = $1, "mood" = $2, "born" = $3 WHERE t."id" = $4::bigint
  -- "stanford.ohara32.6gtcj@yahoo.com", "bad", "2010-10-01", "19"
-- lane 0, operation 6: insert on public.notes
INSERT INTO "public"."notes" AS t ("at", "body") VALUES ($1, $2), ($3, $4), ($5, $6), ($7, $8) RETURNING t.ctid::text, hashtextextended(t::text, 0)::text
  -- "2021-12-01 21:37:08.050564+00", "{\"n\":326858,\"name\":\"Rodrigo Abbott\",\"active\":true,\"score\":-59.4,\"tags\":[\"venio\",\"benevolentia\",\"ambitus\"]}", "2011-02-01 04:27:04.529717+00", "{\"n\":780566,\"name\":\"Liza Erdman\",\"active\":false,\"score\":-93.1,\"tags\":[\"atrox\",\"bardus\"]}", NULL, "{\"n\":889965,\"name\":\"Deshawn Windler\",\"active\":true,\"score\":84.3,\"tags\":[\"commodo\"]}", "2011-09-17 17:47:16.960601+00", "{\"n\":487750,\"name\":\"Della Wunsch\",\"active\":true,\"score\":66.9,\"tags\":[\"consectetur\",\"aer\"],\"address\":{\"city\":\"Fort Franciscabury\",\"zip\":null}}"
-- lane 0, operation 7: insert on public.notes
INSERT INTO "public"."notes" AS t ("at", "body") VALUES ($1, $2), ($3, $4), ($5, $6), ($7, $8) RETURNING t.ctid::text, hashtextextended(t::text, 0)::text
  -- "2001-10-11 07:11:07.444773+00", "{\"n\":404941,\"name\":\"Archibald Stokes\",\"active\":false,\"score\":-2.9,\"tags\":[\"pauci\"],\"address\":{\"city\":\"Omariport\",\"zip\":null}}", "2009-03-30 07:12:37.449813+00", "{\"n\":626673,\"name\":\"Edythe Hagenes-Swift\",\"active\":true,\"score\":-77.6,\"tags\":[\"quas\",\"abduco\"],\"address\":{\"city\":\"Centreville\",\"zip\":null}}", "2016-06-21 10:24:39.118818+00", "{\"n\":982469,\"name\":\"Addie Stanton\",\"active\":true,\"score\":-80.3,\"tags\":[]}", "2023-10-18 15:34:34.345529+00", "{\"n\":821772,\"name\":\"Lisette Corwin\",\"active\":false,\"score\":86.2,\"tags\":[\"asper\",\"tracto\"]}"
-- lane 0, operation 8: insert on public.notes
INSERT INTO "public"."notes" AS t ("at", "body") VALUES ($1, $2), ($3, $4), ($5, $6), ($7, $8) RETURNING t.ctid::text, hashtextextended(t::text, 0)::text
  -- "2014-05-14 10:22:10.763707+00", "{\"n\":532336,\"name\":\"Urban Schuppe\",\"active\":false,\"score\":-9.4,\"tags\":[],\"address\":{\"city\":\"Treutelview\",\"zip\":null}}", "2003-04-22 04:06:51.944501+00", "{\"n\":226523,\"name\":\"Nicklaus McCullough\",\"active\":true,\"score\":9.4,\"tags\":[]}", "2020-02-09 03:00:10.207636+00", "{\"n\":287189,\"name\":\"Maxime Franecki\",\"active\":false,\"score\":36.7,\"tags\":[],\"address\":{\"city\":\"Jordybury\",\"zip\":null}}", "2024-04-07 09:36:39.336135+00", "{\"n\":14125,\"name\":\"Triston Frami-Koch\",\"active\":false,\"score\":-12.9,\"tags\":[\"adicio\",\"vulnero\",\"delicate\"],\"address\":{\"city\":\"Yadiraport\",\"zip\":null}}"
-- lane 0, operation 9: update on public.pets
UPDATE "public"."pets" AS t SET "name" = $1, "weight" = $2 WHERE t."person" = $3::bigint AND t."nr" = $4::smallint
  -- "Carli Lakin", "0.88", "2", "3"
UPDATE "public"."pets" AS t SET "name" = $1, "weight" = $2 WHERE t."person" = $3::bigint AND t."nr" = $4::smallint
  -- "Jarvis Roob", "3.80", "2", "5"
-- lane 0, operation 10: delete on public.pets
DELETE FROM "public"."pets" AS t WHERE t."person" = $1::bigint AND t."nr" = $2::smallint
  -- "2", "1"
-- lane 0, operation 11: insert on public.notes
INSERT INTO "public"."notes" AS t ("at", "body") VALUES ($1, $2), ($3, $4), ($5, $6), ($7, $8) RETURNING t.ctid::text, hashtextextended(t::text, 0)::text
  -- "2018-08-06 06:48:56.105479+00", "{\"n\":777488,\"name\":\"Earnest Franey\",\"active\":true,\"score\":-35.3,\"tags\":[\"altus\",\"audax\"],\"address\":{\"city\":\"Lake Lena\",\"zip\":null}}", "2015-01-05 03:15:10.895656+00", "{\"n\":704198,\"name\":\"Ottis Hettinger\",\"active\":false,\"score\":-14.7,\"tags\":[\"depono\",\"arbor\",\"socius\"]}", "2003-08-19 11:30:42.688867+00", "{\"n\":156032,\"name\":\"Amani Carter\",\"active\":true,\"score\":39.8,\"tags\":[\"depromo\",\"aeger\"],\"address\":{\"city\":\"Elijahborough\",\"zip\":null}}", "2023-05-22 10:21:30.930629+00", "{\"n\":121550,\"name\":\"Laurence O'Reilly\",\"active\":true,\"score\":-75.4,\"tags\":[\"volaticus\"],\"address\":{\"city\":\"Okunevaberg\",\"zip\":null}}"
-- lane 1, operation 0: insert on public.notes
INSERT INTO "public"."notes" AS t ("at", "body") VALUES ($1, $2), ($3, $4), ($5, $6), ($7, $8) RETURNING t.ctid::text, hashtextextended(t::text, 0)::text
  -- NULL, "{\"n\":396144,\"name\":\"Jamel Schimmel\",\"active\":false,\"score\":-48.7,\"tags\":[\"cuius\",\"congregatio\"]}", "2016-04-20 13:54:34.666751+00", "{\"n\":577328,\"name\":\"Nathanael Pfannerstill\",\"active\":false,\"score\":74.7,\"tags\":[\"usus\"]}", "0472-06-30 22:10:05.433376+00", "{\"n\":252602,\"name\":\"Alessandro Hettinger\",\"active\":true,\"score\":-9.1,\"tags\":[\"paens\",\"corroboro\"],\"address\":{\"city\":\"East Ebonyland\",\"zip\":null}}", "2020-11-20 18:17:05.152716+00", "{\"n\":313070,\"name\":\"Glenna Bosco\",\"active\":false,\"score\":54.8,\"tags\":[\"centum\",\"cogito\",\"vergo\"]}"
-- lane 1, operation 1: insert on public.people
INSERT INTO "public"."people" AS t ("id", "email", "mood", "born", "tags") VALUES ($1, $2, $3, $4, $5), ($6, $7, $8, $9, $10), ($11, $12, $13, $14, $15), ($16, $17, $18, $19, $20)
  -- "8", "tad_sauer54.1gtcj@hotmail.com", "bad", "2018-01-17", "{\"Clothing\"}", "12", "emelie24.5gtcj@gmail.com", "fine", "2022-02-19", "{}", "16", "prudence.torp.9gtcj@gmail.com", "fine", "2004-11-29", "{\"Baby\",\"Shoes\",\"Shoes\",\"Jewelry\",\"Sports\"}", "20", "telly_halvorson42.13gtcj@yahoo.com", "bad", "2001-03-01", "{}"
-- lane 1, operation 2: insert on public.notes
INSERT INTO "public"."notes" AS t ("at", "body") VALUES ($1, $2), ($3, $4), ($5, $6), ($7, $8) RETURNING t.ctid::text, hashtextextended(t::text, 0)::text
  -- "2023-08-31 20:15:31.473843+00", "{\"n\":760048,\"name\":\"Reese Lowe\",\"active\":false,\"score\":-43,\"tags\":[\"constans\",\"defero\",\"capillus\"],\"address\":{\"city\":\"Alexiefurt\",\"zip\":null}}", "6148-11-02 17:26:48.813200+00", "{\"n\":720052,\"name\":\"Regan Kozey\",\"active\":true,\"score\":23.8,\"tags\":[\"aveho\"],\"address\":{\"city\":\"Claremouth\",\"zip\":null}}", "2023-06-16 09:47:44.884118+00", "{\"n\":990996,\"name\":\"Cornelius Abernathy\",\"active\":false,\"score\":-82.6,\"tags\":[\"suasoria\",\"vereor\"],\"address\":{\"city\":\"Joneshaven\",\"zip\":null}}", "2009-03-18 18:51:26.503496+00", "{\"n\":186881,\"name\":\"Ora Sawayn\",\"active\":true,\"score\":21.9,\"tags\":[\"vapulus\"]}"
-- lane 1, operation 3: insert on public.notes
INSERT INTO "public"."notes" AS t ("at", "body") VALUES ($1, $2), ($3, $4), ($5, $6), ($7, $8) RETURNING t.ctid::text, hashtextextended(t::text, 0)::text
  -- "2025-08-07 00:16:25.848248+00", "{\"n\":402454,\"name\":\"Emory O'Kon\",\"active\":true,\"score\":-68.5,\"tags\":[\"suus\",\"cibo\"],\"address\":{\"city\":\"Taniachester\",\"zip\":null}}", "2008-11-16 07:48:03.815385+00", "{\"n\":528264,\"name\":\"Sydni McGlynn\",\"active\":true,\"score\":92.4,\"tags\":[]}", "2018-06-23 05:22:54.241409+00", "{\"n\":713901,\"name\":\"Melvin Grimes\",\"active\":false,\"score\":-87.4,\"tags\":[],\"address\":{\"city\":\"Fort Zoila\",\"zip\":null}}", "2002-05-10 19:22:49.759491+00", "{\"n\":493363,\"name\":\"Josefa Kuhic\",\"active\":true,\"score\":-27,\"tags\":[\"antiquus\",\"acerbitas\"]}"
-- lane 1, operation 4: insert on public.notes
INSERT INTO "public"."notes" AS t ("at", "body") VALUES ($1, $2), ($3, $4), ($5, $6), ($7, $8) RETURNING t.ctid::text, hashtextextended(t::text, 0)::text
  -- "2016-10-27 07:18:36.997110+00", "{\"n\":132504,\"name\":\"Nelda Larkin\",\"active\":false,\"score\":-72.2,\"tags\":[\"coniecto\"]}", "2025-09-20 02:36:45.009542+00", "{\"n\":980470,\"name\":\"Jeffry Price\",\"active\":true,\"score\":99.3,\"tags\":[\"cetera\",\"sequi\",\"vulgaris\"]}", "2019-12-28 05:47:59.542490+00", "{\"n\":122439,\"name\":\"Eveline Welch\",\"active\":false,\"score\":-68.4,\"tags\":[]}", "2019-09-01 03:45:11.031223+00", "{\"n\":860607,\"name\":\"Mattie Stokes\",\"active\":false,\"score\":-68,\"tags\":[\"denuo\",\"totus\"]}"
-- lane 1, operation 5: insert on public.pets
INSERT INTO "public"."pets" AS t ("person", "nr", "name", "weight") VALUES ($1, $2, $3, $4), ($5, $6, $7, $8), ($9, $10, $11, $12), ($13, $14, $15, $16)
  -- "8", "2", "Florencio Gleason", "-0.95", "16", "4", "Isabella Moen", "657.07", "16", "6", "Lennie Dibbert", "7.94", "8", "8", "Mack Ondricka", "-17.67"
-- lane 1, operation 6: insert on public.pets
INSERT INTO "public"."pets" AS t ("person", "nr", "name", "weight") VALUES ($1, $2, $3, $4), ($5, $6, $7, $8), ($9, $10, $11, $12), ($13, $14, $15, $16)
  -- "8", "10", "Royal Kshlerin", "-0.70", "1", "12", "Thomas Hahn", "89.61", "1", "14", "Jonathon Kemmer", "53.31", "1", "16", "Bailee Hegmann", "3.74"
-- lane 1, operation 7: update on public.pets
UPDATE "public"."pets" AS t SET "name" = $1, "weight" = $2 WHERE t."person" = $3::bigint AND t."nr" = $4::smallint
  -- "Susanna Stanton", NULL, "8", "2"
UPDATE "public"."pets" AS t SET "name" = $1, "weight" = $2 WHERE t."person" = $3::bigint AND t."nr" = $4::smallint
  -- "Sunny Schuster", "4.55", "16", "6"
-- lane 1, operation 8: update on public.pets
UPDATE "public"."pets" AS t SET "name" = $1, "weight" = $2 WHERE t."person" = $3::bigint AND t."nr" = $4::smallint
  -- "Joanie Wiegand", "7.32", "8", "8"
UPDATE "public"."pets" AS t SET "name" = $1, "weight" = $2 WHERE t."person" = $3::bigint AND t."nr" = $4::smallint
  -- "Dennis Ratke", "55.16", "16", "4"
-- lane 1, operation 9: insert on public.notes
INSERT INTO "public"."notes" AS t ("at", "body") VALUES ($1, $2), ($3, $4), ($5, $6), ($7, $8) RETURNING t.ctid::text, hashtextextended(t::text, 0)::text
  -- "2005-11-13 20:03:24.245290+00", "{\"n\":447146,\"name\":\"Ike Crooks\",\"active\":true,\"score\":-32,\"tags\":[\"deorsum\"],\"address\":{\"city\":\"Destineebury\",\"zip\":null}}", "2021-10-31 12:42:10.557713+00", "{\"n\":171524,\"name\":\"Linnie Farrell-Bergstrom\",\"active\":false,\"score\":40,\"tags\":[],\"address\":{\"city\":\"East Ike\",\"zip\":null}}", "2017-08-27 21:11:20.492932+00", "{\"n\":111900,\"name\":\"Vinnie Halvorson\",\"active\":true,\"score\":-56.3,\"tags\":[\"sono\"],\"address\":{\"city\":\"Morissettehaven\",\"zip\":null}}", "2007-12-28 18:35:59.995799+00", "{\"n\":778058,\"name\":\"Marco Schmitt\",\"active\":true,\"score\":-72.7,\"tags\":[\"arcus\",\"aetas\"]}"
-- lane 1, operation 10: update on public.pets
UPDATE "public"."pets" AS t SET "name" = $1, "weight" = $2 WHERE t."person" = $3::bigint AND t."nr" = $4::smallint
  -- "Charley Boyer", "0.43", "1", "16"
UPDATE "public"."pets" AS t SET "name" = $1, "weight" = $2 WHERE t."person" = $3::bigint AND t."nr" = $4::smallint
  -- "Terence Cartwright", "49.08", "8", "10"
-- lane 1, operation 11: insert on public.pets
INSERT INTO "public"."pets" AS t ("person", "nr", "name", "weight") VALUES ($1, $2, $3, $4), ($5, $6, $7, $8), ($9, $10, $11, $12), ($13, $14, $15, $16)
  -- "4", "18", "Neva Weimann", "-39.62", "4", "20", "Ashtyn Wisoky", "61.21", "1", "22", "Elena Monahan", "2.63", "20", "24", "Juliet Upton", "2.07"
